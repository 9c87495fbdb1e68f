/* A plan: the layout of the parameters, the two programs and what runners share. */
#ifndef RV_GRAPH_PLAN_H
#define RV_GRAPH_PLAN_H

#include "core/arena.h"
#include "graph/program.h"

/* One node whose weight is prepared by rv_plan_pack. */
typedef struct rv_pack {
    int node, parameter;
    size_t offset; /* in the packed region */
    rv_error err[RV_PACK_PARTS]; /* of the last run */
} rv_pack;

struct rv_plan {
    const rv_graph *graph;
    rv_plan_options options;
    size_t element; /* bytes of a float of the backend */
    rv_layout layout;
    rv_program program;
    rv_plan_bytes bytes;
    void **prepared;     /* [forward] */
    int64_t *statistics; /* [forward] offset in the flat vector; -1: none */
    int64_t buffer_size;
    rv_arena packed;
    rv_pack *packs;
    int pack_count;
    int *pack_of;        /* [forward] number of the node's pack; -1: none */
    bool is_packed;      /* rv_plan_pack has run */
    int64_t *factors;    /* [forward] where the sums of the node's layer start in a vector of them; -1: none */
};

/* factors.c: the layers of the layout, from the programs. */
rv_status rv_plan_find_layers(rv_plan *plan, rv_error *err);

#endif
