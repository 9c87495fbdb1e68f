/* Where a data set's file lies below the data folder. */
#ifndef RV_DATA_FOLDER_H
#define RV_DATA_FOLDER_H

#include "core/file.h"
#include "ravine/data.h"

/* The path of file (a catalogue path such as "mnist/train-labels-idx1-ubyte") below data:
 * plain or with ".gz", also in the folder its official archive unpacks to.  False when
 * it is nowhere or data is NULL; path then holds the plain name, for messages. */
bool rv_data_locate(const char *data, const char *file, char path[RV_PATH_SIZE]);

#endif
