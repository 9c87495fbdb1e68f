/* Ravine: a laboratory for deep-learning optimizers.  Includes every public header. */
#ifndef RAVINE_H
#define RAVINE_H
#include "ravine/bench.h"
#include "ravine/core.h"
#include "ravine/data.h"
#include "ravine/graph.h"
#include "ravine/kfac.h"
#include "ravine/landscape.h"
#include "ravine/measure.h"
#include "ravine/nn.h"
#include "ravine/objective.h"
#include "ravine/optim.h"
#include "ravine/param.h"
#include "ravine/probe.h"
#include "ravine/report.h"
#include "ravine/score.h"
#include "ravine/study.h"
#include "ravine/tensor.h"
#include "ravine/trial.h"
#include "ravine/workload.h"
#endif
