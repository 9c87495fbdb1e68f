/* The two programs of a plan: which nodes run, and in which block every operand lives.
 *
 * Steps are numbered through: forward 0 .. forward - 1, then backward.  A spot says
 * where an operand is; addresses are known only when a runner is made. */
#ifndef RV_GRAPH_PROGRAM_H
#define RV_GRAPH_PROGRAM_H

#include "graph/graph.h"
#include "graph/place.h"

typedef struct rv_spot {
    enum { RV_SPOT_NONE, RV_SPOT_BLOCK, RV_SPOT_PARAMETER } where;
    int index; /* of the block, or of the parameter in the flat vectors w and g */
} rv_spot;

typedef struct rv_step {
    int node; /* in nodes */
    rv_spot in[RV_OP_INPUTS], out, saved, scratch;
    rv_spot in_bf16, out_bf16; /* of the first input and the result */
    rv_spot gout, gin[RV_OP_INPUTS]; /* backward only */
    bool add[RV_OP_INPUTS];
} rv_step;

typedef struct rv_program {
    int forward, backward; /* numbers of steps */
    rv_node *nodes;        /* [forward] copies of those that run, in order */
    int *number;           /* [forward] in the graph */
    rv_step *steps;        /* [forward + backward] */
    rv_block *blocks;
    int block_count;
    rv_spot *inputs, *outputs; /* as in the graph */
    rv_spot loss, seed;        /* seed: the gradient of the loss with respect to itself */
    bool *trained;             /* [parameters]: gets a gradient */
} rv_program;

/* Fills a zeroed program; whatever happens it is to be released. */
rv_status rv_program_build(rv_program *program, const rv_graph *graph, rv_plan_options options, rv_error *err);
void rv_program_release(rv_program *program);

#endif
