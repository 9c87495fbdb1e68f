/* Heavy-tailed class imbalance: why Adam beats SGD on words and not on digits. */
#include <math.h>
#include <stdio.h>

#include "studies/imbalance.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                       \
    INT(theory_steps, 128000, 1000, 10000000, 0, "of gradient descent beside the closed form")      \
    INT(size, 7, 3, 11, 0, "of the random problem: that many levels of classes; the paper has 11")  \
    INT(steps, 100, 10, 100000, 0, "full-batch steps on it")                                        \
    INT(long_steps, 300, 10, 100000, 0, "full-batch steps of the run at too large a rate")          \
    REAL(large_lr, 0.316, 0, 100, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "that rate, of SGD")               \
    INT(bits, 5, 1, 10, 0, "of the bar codes on digits; the paper has 10")                          \
    INT(each, 5, 1, 100, 0, "images of a class with a bar code")                                    \
    INT(image_steps, 40, 10, 100000, 0, "full-batch steps on images")                              \
    INT(vocabulary, 0, 0, 100000, 0, "most words; 0: all of the text")                              \
    INT(words, 30000, 0, 10000000, 0, "of the text to learn, eight passes; 0: all")                              \
    INT(word_steps, 1000, 10, 1000000, 0, "mini-batch steps on words")                              \
    INT(batch, 256, 8, 65536, 0, "words of a mini-batch")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "class-imbalance", params, PARAMS);

#define KUNSTNER "Kunstner et al. 2024"

static const rv_claim claims[] = {
    {"flow", "With one input a class gradient descent follows e^z - 1 + (c - 1) z = c pi_k t", "largest relative difference of the class losses", KUNSTNER ", gradient flow on softmax regression",
     -HUGE_VAL, 0.02, RV_CLAIM_EVERY, false},
    {"law", "so that the loss of class k is 1 / (pi_k t) in the end", "largest |l_k pi_k t c / (c - 1) - 1| at the end", KUNSTNER ": l_k ~ 1 / (pi_k t)", -HUGE_VAL, 0.05, RV_CLAIM_EVERY, false},
    {"law_ratio", "and losses stand in the inverse ratio of frequencies, here 16", "loss of the rarest / of the most frequent class at the end", KUNSTNER ": l_k ~ 1 / (pi_k t)", 15.2, 16.8, RV_CLAIM_EVERY, false},
    {"sign", "Sign descent has the loss log(1 + (c - 1) e^(-2 lr t)) for every class", "largest relative difference of the class losses", KUNSTNER ": l_k ~ e^(-c t)", -HUGE_VAL, 1e-9, RV_CLAIM_EVERY, false},
    {"sign_same", "It does not see the frequency at all", "largest relative difference between classes", KUNSTNER ": independent of pi_k", 0, 0, RV_CLAIM_EVERY, false},
    {"adam_same", "Nor does Adam with epsilon 0", "largest relative difference between classes", "the update does not change when a gradient is scaled", -HUGE_VAL, 1e-9, RV_CLAIM_EVERY, false},
    {"quadratic", "On the weighted quadratic the error of gradient descent is (1 - lr pi_k)^t", "largest |difference| to the closed form", "algebra", -HUGE_VAL, 1e-12, RV_CLAIM_EVERY, false},

    {"gap", "On random features with heavy-tailed classes Adam is far below SGD", "training loss SGD / Adam, each at its best steady rate", KUNSTNER ", linear model", 4, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"sgd_order", "The rarer the classes, the higher their loss under SGD", "smallest rise of the loss from one level to the next rarer", KUNSTNER ", linear model", 0, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"sgd_rare", "SGD has not moved the rarest", "their loss at the end / at the start, SGD", KUNSTNER ", linear model", 0.85, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"adam_rare", "Adam has learned them", "their loss at the end / at the start, Adam", KUNSTNER ", linear model", -HUGE_VAL, 0.1, RV_CLAIM_EVERY, true},
    {"gap_share", "The gap is one of the rare classes", "(SGD - Adam) on the rarest level / on the most frequent", KUNSTNER ", linear model", 5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"equal", "With equally many examples of every class SGD learns the same data", "training loss at the end / ln c, SGD at its best steady rate", "control: the gap is imbalance, not the features", -HUGE_VAL, 0.1, RV_CLAIM_EVERY, true},
    {"catapult_peak", "At too large a rate SGD first rises far above its first loss", "highest loss / first loss", "reported for the authors' code; here a finding", 2, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"catapult_end", "and then overtakes Adam: the features outnumber the examples", "training loss SGD at the large rate / Adam, three times as many steps", "reported for the authors' code; here a finding", -HUGE_VAL, 1, RV_CLAIM_EVERY, true},

    {"codes", "Digits with bar codes: SGD stays behind on the rare classes", "training loss on bar codes SGD - Adam, nats", KUNSTNER ", barcoded MNIST", 0.5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"codes_digits", "more than on the plain digits beside them", "(SGD - Adam) on bar codes - on plain digits, nats", KUNSTNER ", barcoded MNIST", 0.5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"digits_alone", "Without the rare classes there is no such gap", "|SGD - Adam|, the plain digits alone, nats", "control: " KUNSTNER ", MNIST", -HUGE_VAL, 0.1, RV_CLAIM_EVERY, true},

    {"zipf", "Words follow Zipf's law", "exponent of count over rank, ranks 10 to 1000", "Zipf; " KUNSTNER ": pi_k ~ 1 / k", 0.85, 1.15, RV_CLAIM_EVERY, true},
    {"words_gap", "On words Adam is below SGD", "training loss SGD - Adam, nats", KUNSTNER ", PTB", 0.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"words_rare", "on the rarest tenth of the text by far", "SGD - Adam on the rarest tenth, nats", KUNSTNER ", PTB", 0.5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"words_frequent", "on the most frequent tenth hardly", "|SGD - Adam| on the most frequent tenth, nats", KUNSTNER ", PTB", -HUGE_VAL, 0.4, RV_CLAIM_EVERY, true},
    {"words_share", "The gap is one of the rare words", "(SGD - Adam) on the rarest tenth / |SGD - Adam| on the most frequent", KUNSTNER ", PTB", 3, HUGE_VAL, RV_CLAIM_EVERY, true},

    {"steady", "Nothing that is compared ever stood above its first loss", "highest / first training loss of the runs compared; one per cent is a mini-batch's own", "control: the rule of the comparison", -HUGE_VAL, RV_STEADY, RV_CLAIM_EVERY, true},
    {"inside", "and every best rate lies inside its grid", "1: it does, one value a sweep", "control: the sweeps are wide enough", 1, 1, RV_CLAIM_EVERY, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

enum { SGD, ADAM };
#define MOMENTUM "momentum=0.9"
#define BY_LEVEL "level of classes, 1 is the most frequent"

/* ---- what every contest is asked ------------------------------------------------------------- */

static void check_rules(rv_study_run *run, const rv_contest *c, const rv_contest_result *r)
{
    for (int k = 0; k < RV_CONTESTANTS; k++) {
        double peak = r->best[k] < 0 ? INFINITY : 0;
        for (int s = 0; s < run->seeds && r->best[k] >= 0; s++)
            peak = fmax(peak, rv_contest_best(r, k, s)->peak);
        rv_study_measure(run, "steady", peak);
        rv_study_measure(run, "inside", r->best[k] > 0 && r->best[k] < c->who[k].rates - 1);
    }
}

/* A loss at the end at the best rate; infinite where an optimizer has none. */
static double end_of(const rv_contest_result *r, int who, int seed, int group)
{
    const rv_course *c = rv_contest_best(r, who, seed);
    return !c ? INFINITY : group < 0 ? rv_course_end(c) : rv_course_end_of(c, group);
}

static double gap_of(const rv_contest_result *r, int seed, int group)
{
    return end_of(r, SGD, seed, group) - end_of(r, ADAM, seed, group);
}

/* ---- random features --------------------------------------------------------------------------- */

static void judge_linear(rv_study_run *run, const rv_contest_result *r)
{
    int rarest = r->groups - 1;
    rv_study_reason(run, "sgd_rare",
                    "A smaller problem than the authors' has a larger steady rate and less rare classes: at m = 8 (seed 0) the ratio is 1.08.");
    for (int s = 0; s < run->seeds; s++) {
        double rise = INFINITY;
        for (int g = 0; g < rarest; g++)
            rise = fmin(rise, end_of(r, SGD, s, g + 1) - end_of(r, SGD, s, g));
        rv_study_measure(run, "gap", end_of(r, SGD, s, -1) / end_of(r, ADAM, s, -1));
        rv_study_measure(run, "sgd_order", rise);
        rv_study_measure(run, "sgd_rare", end_of(r, SGD, s, rarest) / rv_contest_course(r, SGD, 0, s)->group[rarest][0]);
        rv_study_measure(run, "adam_rare", end_of(r, ADAM, s, rarest) / rv_contest_course(r, ADAM, 0, s)->group[rarest][0]);
        rv_study_measure(run, "gap_share", gap_of(r, s, rarest) / gap_of(r, s, 0));
    }
}

/* One long run, whatever it does. */
static rv_status long_run(const params *o, rv_grouped_net *net, const char *method, const char *text, int seed, rv_figure *figure,
                          const char *name, rv_course *course, rv_error *err)
{
    RV_TRY(rv_grouped_descend(net, method, text, (uint64_t)seed, o->long_steps, false, course, err));
    rv_figure_series(figure, name, RV_SERIES_LINE, course->records, course->step, course->loss);
    return RV_OK;
}

/* SGD at its best steady rate, at the large rate, and Adam, for long_steps. */
static rv_status catapult_seed(rv_study_run *run, const params *o, const rv_contest *c, const rv_contest_result *r, rv_grouped_net *net,
                               int seed, rv_figure *figure, rv_error *err)
{
    rv_course large, adam, small;
    char text[96], name[64];
    snprintf(text, sizeof text, "lr=%.17g," MOMENTUM, o->large_lr);
    snprintf(name, sizeof name, "SGD at %.2g", o->large_lr);
    RV_TRY(long_run(o, net, "sgd", text, seed, figure, name, &large, err));
    snprintf(text, sizeof text, "lr=%.17g," MOMENTUM, rv_contest_rate(&c->who[SGD], r->best[SGD]));
    RV_TRY(long_run(o, net, "sgd", text, seed, figure, "SGD at its best steady rate", &small, err));
    snprintf(text, sizeof text, "lr=%.17g", rv_contest_rate(&c->who[ADAM], r->best[ADAM]));
    RV_TRY(long_run(o, net, "adam", text, seed, figure, "Adam at its best rate", &adam, err));
    rv_study_measure(run, "catapult_peak", large.peak);
    rv_study_measure(run, "catapult_end", rv_course_end(&large) / rv_course_end(&adam));
    rv_study_note(run, "Seed %d, %d steps: SGD at %.2g reaches a loss of %.3g on its way and ends at %.3g; at its best steady rate %.3g, Adam %.3g.", seed,
                  (int)o->long_steps, o->large_lr, large.peak * large.loss[0], rv_course_end(&large), rv_course_end(&small), rv_course_end(&adam));
    return RV_OK;
}

static rv_status catapult(rv_study_run *run, const params *o, const rv_contest *c, const rv_contest_result *r, rv_error *err)
{
    rv_figure *figure = rv_study_figure(run, "catapult", "What the rule of the comparison hides",
                                        "A rate at which SGD first explodes and then wins: on data that can be learned by heart the large steps flatten its way. One line a seed.",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "training loss", .log = true});
    for (int s = 0; s < run->seeds && r->best[SGD] >= 0 && r->best[ADAM] >= 0; s++) {
        rv_grouped problem = {0};
        rv_grouped_net *net = NULL;
        rv_status status = rv_study_progress(run, c->to, "SGD at too large a rate, seed %d", s);
        if (status == RV_OK)
            status = c->make(run, c->context, (uint64_t)s, &problem, err);
        if (status == RV_OK)
            status = rv_grouped_net_new(&net, run, &problem, err);
        if (status == RV_OK)
            status = catapult_seed(run, o, c, r, net, s, figure, err);
        rv_grouped_net_free(net);
        rv_grouped_release(&problem);
        RV_TRY(status);
    }
    return RV_OK;
}

static rv_status heavy_tail(rv_study_run *run, const params *o, rv_error *err)
{
    const rv_linear_spec spec = {.size = (int)o->size};
    const rv_contest c = {.name = "linear", .title = "Random features, heavy-tailed classes", .groups_axis = BY_LEVEL, .steps = o->steps, .swept = run->seeds,
                          .who = {{"SGD", "sgd", MOMENTUM, 8, -3.5}, {"Adam", "adam", "", 6, -4}}, .make = rv_imbalance_linear, .context = &spec, .from = 0.02, .to = 0.1};
    rv_contest_result r;
    rv_status status = rv_contest_hold(run, &c, &r, err);
    if (status == RV_OK) {
        check_rules(run, &c, &r);
        judge_linear(run, &r);
        status = catapult(run, o, &c, &r, err);
    }
    rv_contest_release(&r);
    return status;
}

static rv_status equal_classes(rv_study_run *run, const params *o, rv_error *err)
{
    const rv_linear_spec spec = {.size = (int)o->size, .equal = true};
    const rv_contest c = {.name = "equal", .title = "Random features, equal classes", .groups_axis = BY_LEVEL, .steps = o->steps, .swept = 1,
                          .who = {{"SGD", "sgd", MOMENTUM, 8, -2}, {"Adam", "adam", "", 6, -4}}, .make = rv_imbalance_linear, .context = &spec, .from = 0.15, .to = 0.2};
    rv_contest_result r;
    rv_status status = rv_contest_hold(run, &c, &r, err);
    for (int s = 0; s < run->seeds && status == RV_OK; s++)
        rv_study_measure(run, "equal", end_of(&r, SGD, s, -1) / (log(2) * (double)o->size));
    if (status == RV_OK)
        check_rules(run, &c, &r);
    rv_contest_release(&r);
    return status;
}

/* ---- digits with bar codes ------------------------------------------------------------------------ */

static rv_status barcodes(rv_study_run *run, const params *o, bool coded, rv_error *err)
{
    const rv_barcode_spec spec = {.bits = (int)o->bits, .each = (int)o->each, .coded = coded};
    const rv_contest c = {.name = coded ? "codes" : "digits", .title = coded ? "Digits and digits with bar codes" : "The digits alone",
                          .groups_axis = "1: plain digits, 2: with a bar code", .steps = o->image_steps, .swept = coded ? 1 : run->seeds,
                          .who = {{"SGD", "sgd", MOMENTUM, 7, -3}, {"Adam", "adam", "", 7, -4}}, .make = rv_imbalance_barcodes, .context = &spec,
                          .from = coded ? 0.2 : 0.4, .to = coded ? 0.4 : 0.45};
    rv_contest_result r;
    rv_status status = rv_contest_hold(run, &c, &r, err);
    if (status == RV_OK)
        check_rules(run, &c, &r);
    for (int s = 0; s < run->seeds && status == RV_OK; s++) {
        if (coded) {
            rv_study_measure(run, "codes", gap_of(&r, s, 1));
            rv_study_measure(run, "codes_digits", gap_of(&r, s, 1) - gap_of(&r, s, 0));
        } else {
            rv_study_measure(run, "digits_alone", fabs(gap_of(&r, s, 0)));
        }
    }
    rv_study_reason(run, "digits_alone",
                    "After 40 steps SGD has not finished the ten digits either; on the bar codes it lacks twenty times as much.");
    rv_contest_release(&r);
    return status;
}

/* ---- words ------------------------------------------------------------------------------------------- */

static rv_status words(rv_study_run *run, const params *o, rv_error *err)
{
    rv_words_spec spec = {.vocabulary = (int)o->vocabulary, .limit = o->words, .width = 32, .batch = o->batch, .sample = 8 * o->batch};
    RV_TRY(rv_imbalance_zipf(run, &spec, &spec.classes, err));
    const rv_contest c = {.name = "words", .title = "Words", .groups_axis = "tenth of the text, 1 has the most frequent words", .steps = o->word_steps, .swept = 1,
                          .who = {{"SGD", "sgd", MOMENTUM, 5, -1}, {"Adam", "adam", "", 5, -3}}, .make = rv_imbalance_words, .context = &spec, .from = 0.45, .to = 1};
    rv_contest_result r;
    rv_status status = rv_contest_hold(run, &c, &r, err);
    if (status == RV_OK)
        check_rules(run, &c, &r);
    for (int s = 0; s < run->seeds && status == RV_OK; s++) {
        double rare = gap_of(&r, s, r.groups - 1), frequent = fabs(gap_of(&r, s, 0));
        rv_study_measure(run, "words_gap", gap_of(&r, s, -1));
        rv_study_measure(run, "words_rare", rare);
        rv_study_measure(run, "words_frequent", frequent);
        rv_study_measure(run, "words_share", rare / frequent);
    }
    rv_study_reason(run, "words_frequent",
                    "In eight passes over a short text Adam learns even the frequent words by heart, which SGD has only begun.");
    rv_study_reason(run, "words_share",
                    "The gap is on all words, because Adam learns the short text by heart, and widest on the rare ones.");
    rv_contest_release(&r);
    return status;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    RV_TRY(rv_imbalance_theory(run, (int)o->theory_steps, err));
    RV_TRY(heavy_tail(run, o, err));
    RV_TRY(equal_classes(run, o, err));
    RV_TRY(barcodes(run, o, true, err));
    RV_TRY(barcodes(run, o, false, err));
    return words(run, o, err);
}

const rv_study rv_study_class_imbalance = {
    .name = "class-imbalance",
    .title = "Heavy-tailed class imbalance: why Adam beats SGD on words",
    .question = "A language has few frequent words and many rare ones. SGD lowers the loss of a class in proportion to its frequency and hardly moves the rare ones; "
                "sign descent and Adam do not see the frequency. Is that the gap between SGD and Adam?",
    .method = "Softmax regression with one input a class, where the losses have a closed form.\n"
              "A linear model on random features (full batch): level i of the hierarchy has 2^i classes of 2^(m - i) examples, m = 7 instead of the paper's 11: 896 rows of 1024\n"
              "features, uniform in [0, 1]; labels are independent of them. And the same with 128 classes of 7 examples each.\n"
              "Digits averaged to 14 x 14 pixels and digits with one of 31 bar codes in the corner (the paper: 28 x 28, 1024 codes): 10 classes of 155 images and 310 classes of 5; two convolutions\n"
              "of 8 and 16 channels and a linear layer (the paper: 32 and 100), full batch, 40 steps, before either optimizer knows all images by heart.\n"
              "The next word from the two before it (embedding 32, tanh) on the first 30,000 words of the Penn Treebank, batch 256, eight passes; the paper has a\n"
              "transformer, the whole text and batch 17,920.\n"
              "SGD and Adam with momentum 0.9 each have their own sweep of rates in half decades; best is the lowest training loss at the end among rates at which the training loss never\n"
              "stood above its first value (by more than 1 %). Larger rates are shown beside. Losses are training losses.",
    .source = "Kunstner, Milligan, Yadav, Schmidt, Bietti 2024, Heavy-Tailed Class Imbalance and Why Adam Outperforms Gradient Descent on Language Models",
    .cost = "2 min",
    .params = &table,
    .quick = "size=5,steps=40,long_steps=80,bits=2,image_steps=30,vocabulary=200,words=20000,word_steps=60,batch=128",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
