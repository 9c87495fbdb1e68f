/* The descriptors of the D-Adaptation family (dadapt.c). */

static const rv_slot adagrad_slots[] = {{"v", rv_slot_like, false}, {"s", rv_slot_like, false}, {"x0", rv_slot_like, true}};
static const char *const adagrad_scalars[] = {"d", "squares"};

const rv_method rv_method_dadapt_adagrad = {
    .info = {.name = "dadapt_adagrad",
             .version = 1,
             .title = "AdaGrad with D-Adaptation",
             .equations = "e = d lr;  g <- g + weight_decay w\n"
                          "v <- v + g^2;  a = sqrt(1e-6 + v) + eps;  s <- s + e g;  G <- G + e^2 sum g^2/a\n"
                          "w <- momentum w + (1 - momentum) (x0 - s/a)\n"
                          "d <- max(d, (sum s^2/a - G) / sum|s|), at most growth_rate d\n"
                          "sums run over all tensors that any rule gives to dadapt_adagrad",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation, algorithm 3",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_adagrad.py (dense gradients)",
             .deviations = "sum s^2/a and sum|s| are taken anew in every step, the reference adds their changes; "
                           "growth_rate 0 stands for infinity; sums in double",
             .params = &dadagrad_table,
             .state = "v, s: like the tensor; x0: like the tensor, the first weights; d, squares (G): scalars",
             .bytes_per_parameter = 12},
    .tolerance = 1e-11,
    .slots = adagrad_slots,
    .slot_count = 3,
    .scalars = adagrad_scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure_adagrad,
    .passes = 1,
    .step = step_adagrad,
};

static const rv_slot adam_slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"s", rv_slot_like, false}};
static const char *const adam_scalars[] = {"d", "numerator"};

const rv_method rv_method_dadapt_adam = {
    .info = {.name = "dadapt_adam",
             .version = 1,
             .title = "Adam with D-Adaptation",
             .equations = "e = d lr, times sqrt(1 - beta2^t)/(1 - beta1^t) with use_bias_correction;  q = sqrt(beta2)\n"
                          "r <- q r + (1 - q) e <g, s / (sqrt(v) + eps)>   (s and v before this step)\n"
                          "m <- beta1 m + (1 - beta1) e g;  v <- beta2 v + (1 - beta2) g^2;  s <- q s + (1 - q) e g\n"
                          "w <- w - e weight_decay w - m / (sqrt(v) + eps)\n"
                          "d <- max(d, r / ((1 - q) sum|s|)), at most growth_rate d\n"
                          "layer_scale, of a rule: a factor on its g in m, on its <g, s...> in r and on its sum|s|\n"
                          "r and sum|s| run over all tensors that any rule gives to dadapt_adam",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation, algorithm 5",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_adam.py",
             .deviations = "growth_rate 0 stands for infinity; sums in double; steps whose "
                           "gradients are all zero count in the bias correction",
             .params = &dadam_table,
             .state = "m, v, s: like the tensor; d, numerator: scalars",
             .bytes_per_parameter = 12},
    .tolerance = 1e-11,
    .slots = adam_slots,
    .slot_count = 3,
    .scalars = adam_scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure_adam,
    .passes = 1,
    .step = step_adam,
};

static const rv_slot adan_slots[] = {{"m", rv_slot_like, false},
                                {"n", rv_slot_like, false},
                                {"v", rv_slot_like, false},
                                {"s", rv_slot_like, false},
                                {"before", rv_slot_like, false}};
static const char *const adan_scalars[] = {"d", "squares"};

const rv_method rv_method_dadapt_adan = {
    .info = {.name = "dadapt_adan",
             .version = 1,
             .title = "Adan with D-Adaptation",
             .equations = "e = d lr;  h = g - g_before, 0 in the first step\n"
                          "m <- beta1 m + (1 - beta1) e g;  n <- beta2 n + (1 - beta2) e h\n"
                          "v <- beta3 v + (1 - beta3) (g + beta2 h)^2;  a = sqrt(v) + eps\n"
                          "s <- beta3 s + (1 - beta3) e g;  G <- beta3 G + (1 - beta3) e^2 sum g^2/a\n"
                          "w <- (w - (m + beta2 n)/a) / (1 + e weight_decay)\n"
                          "no_prox: w <- w (1 - e weight_decay) - (m + beta2 n)/a\n"
                          "d <- max(d, (sum s^2/a / (1 - beta3) - G) / sum|s|), at most growth_rate d\n"
                          "sums run over all tensors that any rule gives to dadapt_adan",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation; Xie et al. 2022, Adan",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_adan.py",
             .deviations = "none; growth_rate 0 stands for infinity; sums in double",
             .params = &dadan_table,
             .state = "m, n, v, s, before: like the tensor; d, squares (G): scalars",
             .bytes_per_parameter = 20},
    .tolerance = 1e-11,
    .slots = adan_slots,
    .slot_count = 5,
    .scalars = adan_scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure_adan,
    .passes = 1,
    .step = step_adan,
};

static const rv_slot lion_slots[] = {{"m", rv_slot_like, false}, {"s", rv_slot_like, false}};
static const char *const lion_scalars[] = {"d", "numerator"};

const rv_method rv_method_dadapt_lion = {
    .info = {.name = "dadapt_lion",
             .version = 1,
             .title = "Lion with D-Adaptation",
             .equations = "e = d lr;  q = sqrt(beta2);  u = sign(beta1 m + (1 - beta1) g)\n"
                          "w <- w (1 - e weight_decay) - e u;  m <- beta2 m + (1 - beta2) e g\n"
                          "r <- q r + (1 - q) e <u, s>   (s before this step)\n"
                          "s <- q s + (1 - q) e u;  d <- max(d, r / ((1 - q) sum|s|)), at most growth_rate d\n"
                          "sums run over all tensors that any rule gives to dadapt_lion",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation (the method of its "
                      "algorithm 5 on Lion, Chen et al. 2023)",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_lion.py",
             .deviations = "none from that commit (older ones never stored r); growth_rate is added (0: none, as "
                           "there); sums in double",
             .params = &dlion_table,
             .state = "m, s: like the tensor; d, numerator: scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-11,
    .slots = lion_slots,
    .slot_count = 2,
    .whole_slots = 3u, /* one sign that rounding flips moves d, and with it every later step */
    .scalars = lion_scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure_lion,
    .passes = 1,
    .step = step_lion,
};

static const rv_slot sgd_slots[] = {{"s", rv_slot_like, false}, {"x0", rv_slot_like, true}};
static const char *const sgd_scalars[] = {"d", "numerator", "first_norm"};

const rv_method rv_method_dadapt_sgd = {
    .info = {.name = "dadapt_sgd",
             .version = 1,
             .title = "Gradient descent with D-Adaptation",
             .equations = "e = d lr / ||g_1||;  g <- g + weight_decay w\n"
                          "r <- r + e <g, s>;  s <- s + e g\n"
                          "w <- momentum w + (1 - momentum) (x0 - s)\n"
                          "d <- max(d, 2 r / ||s||), at most growth_rate d\n"
                          "norms and products run over all tensors that any rule gives to dadapt_sgd",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation, algorithm 4",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_sgd.py",
             .deviations = "||g_1|| is that of the first gradient that is not zero (the reference divides by zero); as "
                           "there, without weight decay; growth_rate 0 stands for infinity; default momentum 0.9 (there "
                           "0); sums in double",
             .params = &dsgd_table,
             .state = "s: like the tensor; x0: like the tensor, the first weights; d, numerator, first_norm: scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-11,
    .slots = sgd_slots,
    .slot_count = 2,
    .scalars = sgd_scalars,
    .scalar_count = 3,
    .check = check,
    .measure = measure_sgd,
    .passes = 2,
    .step = step_sgd,
};
