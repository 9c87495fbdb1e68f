/* The suite that a newcomer runs first: minutes, not hours, and no data folder.  Targets
 * are values that a tuned AdamW reaches well before the budget ends. */
#include "ravine/bench.h"

const rv_suite rv_suite_quick = {
    .name = "quick",
    .title = "Three small problems of different kinds on embedded data, five optimizers",
    .json =
        "{\n"
        " \"name\": \"quick\",\n"
        " \"problems\": [\n"
        "  {\"label\": \"char-lm\", \"workload\": \"char-lm\", \"target\": 2.1,\n"
        "   \"config\": {\"workload_params\": {\"layers\": 2, \"heads\": 2, \"width\": 64, \"block\": 32, \"evaluate\": 256},\n"
        "    \"schedule\": \"warmup_cosine\", \"schedule_params\": {\"warmup_steps\": 30, \"end\": 0.1},\n"
        "    \"train\": {\"steps\": 600, \"batch\": 16, \"clip\": 1, \"eval_every\": 20, \"log_every\": 5,\n"
        "              \"stop_at_target\": true, \"checkpoint_every\": 600}}},\n"
        "  {\"label\": \"glyphs-cnn\", \"workload\": \"fashion-cnn\", \"target\": 0.95,\n"
        "   \"config\": {\"workload_params\": {\"images\": 4000, \"evaluate\": 1000},\n"
        "    \"schedule\": \"warmup_cosine\", \"schedule_params\": {\"warmup_steps\": 10, \"end\": 0.1},\n"
        "    \"train\": {\"steps\": 200, \"batch\": 64, \"eval_every\": 10, \"log_every\": 2,\n"
        "              \"stop_at_target\": true, \"checkpoint_every\": 200}}},\n"
        "  {\"label\": \"glyphs-mlp\", \"workload\": \"mnist-mlp\", \"target\": 0.93,\n"
        "   \"config\": {\"workload_params\": {\"hidden\": 256, \"images\": 4000, \"evaluate\": 1000},\n"
        "    \"schedule\": \"warmup_cosine\", \"schedule_params\": {\"warmup_steps\": 20, \"end\": 0.1},\n"
        "    \"train\": {\"steps\": 400, \"batch\": 128, \"eval_every\": 10, \"log_every\": 2,\n"
        "              \"stop_at_target\": true, \"checkpoint_every\": 400}}}\n"
        " ],\n"
        " \"optimizers\": [\n"
        "  {\"label\": \"sgd\", \"optimizer\": \"sgd\", \"optimizer_params\": {\"momentum\": 0.9, \"nesterov\": true},\n"
        "   \"grid\": {\"lr\": [0.03, 0.1, 0.3]}},\n"
        "  {\"label\": \"adamw\", \"optimizer\": \"adamw\", \"grid\": {\"lr\": [0.001, 0.003, 0.01]}},\n"
        "  {\"label\": \"muon\", \"optimizer\": \"muon\", \"optimizer_params\": {\"adamw\": {\"lr\": 0.003}},\n"
        "   \"grid\": {\"lr\": [0.005, 0.02, 0.05]}},\n"
        "  {\"label\": \"shampoo\", \"optimizer\": \"shampoo\",\n"
        "   \"optimizer_params\": {\"momentum\": 0.9, \"precondition_frequency\": 20, \"grafting\": \"adagrad\"},\n"
        "   \"grid\": {\"lr\": [0.002, 0.008, 0.03]}},\n"
        "  {\"label\": \"schedule_free_adamw\", \"optimizer\": \"schedule_free_adamw\",\n"
        "   \"schedule\": \"constant\", \"grid\": {\"lr\": [0.003, 0.01, 0.03]}}\n"
        " ],\n"
        " \"seeds\": [0, 1, 2]\n"
        "}\n",
};
