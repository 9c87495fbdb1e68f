/* An invented play.  Words are made of syllables and drawn by Zipf's law within their
 * class; sentences follow templates in which verb and determiner agree with the noun's
 * number; a scene keeps its cast and comes back to its subjects.  So there is structure to
 * learn from letters up to scenes.  Everything follows from one fixed seed, by
 * arithmetic that IEEE 754 defines exactly: the text is the same on every machine. */
#include "data/grammar.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_SIZE = 1115394, /* that of tinyshakespeare */
    WORD_SIZE = 16,
    WORDS = 3058, /* of all classes */
    LINE_WIDTH = 42,
    CAST = 4,    /* speakers of a scene */
    SUBJECTS = 6 /* nouns it comes back to */
};

typedef enum word_class {
    DETERMINER, /* singular, then plural form of each: the, these */
    PREPOSITION,
    CONJUNCTION,
    PRONOUN,
    NOUN,
    VERB,
    ADJECTIVE,
    ADVERB,
    NAME,
    CLASSES
} word_class;

static const struct {
    int words, min_syllables, max_syllables;
} lexicon[CLASSES] = {
    [DETERMINER] = {12, 1, 1}, [PREPOSITION] = {14, 1, 1}, [CONJUNCTION] = {6, 1, 1},
    [PRONOUN] = {6, 1, 1},     [NOUN] = {1400, 1, 3},      [VERB] = {800, 1, 2},
    [ADJECTIVE] = {600, 2, 3}, [ADVERB] = {160, 2, 3},     [NAME] = {60, 2, 3},
};

typedef struct play {
    uint64_t drawn; /* numbers taken from the stream so far */
    char (*words)[WORD_SIZE];
    double *cumulative; /* of Zipf weights 1 / rank, within each class */
    int begin[CLASSES + 1];
    int cast[CAST], subjects[SUBJECTS]; /* word numbers */
    unsigned char *text;
    size_t size;
    int column; /* of the line being spoken */
    bool start; /* the next word begins a sentence */
} play;

static double draw(play *p)
{
    return rv_random_uniform((rv_random){0x52617669, RV_RANDOM_DATA, 0}, p->drawn++);
}

static int draw_below(play *p, int n)
{
    return (int)(draw(p) * n);
}

static bool chance(play *p, double probability)
{
    return draw(p) < probability;
}

/* A word of the class, the one of rank r with probability proportional to 1 / r. */
static int draw_word(play *p, word_class class)
{
    int low = p->begin[class], high = p->begin[class + 1] - 1;
    double u = draw(p) * p->cumulative[high];
    while (low < high) {
        int middle = (low + high) / 2;
        if (p->cumulative[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- the vocabulary ---------------------------------------------------- */

static const char *pick(play *p, const char *const *parts, int count)
{
    /* The smaller of two: early parts are more frequent, as letters of languages are. */
    int a = draw_below(p, count), b = draw_below(p, count);
    return parts[a < b ? a : b];
}

#define PICK(p, parts) pick(p, parts, (int)(sizeof(parts) / sizeof *(parts)))

static void make_word(play *p, word_class class, char word[WORD_SIZE])
{
    static const char *const onsets[] = {"t",  "s", "h",  "n",  "l",  "m",  "",   "d", "b",  "th",
                                         "w",  "r", "f",  "c",  "g",  "p",  "st", "v", "br", "k",
                                         "gr", "j", "fl", "qu", "sh", "tr", "y",  "z"};
    static const char *const vowels[] = {"e", "a", "o", "i", "u", "ea", "ou", "ai", "oo"};
    static const char *const codas[] = {"",   "n", "r",  "t",  "s", "d", "l",
                                        "nd", "m", "st", "ck", "x", "p", "ng"};
    static const char *const endings[CLASSES] = {[ADJECTIVE] = "ous", [ADVERB] = "ly"};
    int least = lexicon[class].min_syllables, range = lexicon[class].max_syllables - least + 1;
    word[0] = '\0';
    for (int syllables = least + draw_below(p, range); syllables > 0; syllables--) {
        strcat(word, PICK(p, onsets));
        strcat(word, PICK(p, vowels));
    }
    strcat(word, PICK(p, codas)); /* at most 3 * (2 + 2) + 2 letters */
    if (endings[class] && strlen(word) + 3 < WORD_SIZE && (class == ADVERB || chance(p, 0.3)))
        strcat(word, endings[class]);
    if (class == NAME)
        word[0] = (char)toupper((unsigned char)word[0]);
}

static bool is_known(const play *p, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(p->words[i], word) == 0)
            return true;
    return false;
}

static void make_vocabulary(play *p)
{
    int count = 0;
    for (int kind = 0; kind < CLASSES; kind++) {
        p->begin[kind] = count;
        double sum = 0;
        for (int rank = 1; rank <= lexicon[kind].words; rank++, count++) {
            do
                make_word(p, (word_class)kind, p->words[count]);
            while (strlen(p->words[count]) < 2 - (kind == DETERMINER) || is_known(p, count, p->words[count]));
            sum += 1.0 / rank;
            p->cumulative[count] = sum;
        }
    }
    p->begin[CLASSES] = count;
    assert(count == WORDS);
}

/* ---- sentences --------------------------------------------------------- */

static void put(play *p, const char *bytes, size_t n)
{
    if (n > TEXT_SIZE - p->size)
        n = TEXT_SIZE - p->size;
    memcpy(p->text + p->size, bytes, n);
    p->size += n;
}

/* A word and its ending, after a space or on a new line, which begins with a capital. */
static void say(play *p, const char *word, const char *ending)
{
    char spoken[WORD_SIZE + 4];
    size_t length = strlen(word), tail = strlen(ending);
    memcpy(spoken, word, length);
    memcpy(spoken + length, ending, tail);
    length += tail;
    if (p->column > 0 && p->column + (int)length > LINE_WIDTH) {
        put(p, "\n", 1);
        p->column = 0;
    }
    if (p->column > 0)
        put(p, " ", 1);
    if (p->column == 0 || p->start)
        spoken[0] = (char)toupper((unsigned char)spoken[0]);
    put(p, spoken, length);
    p->column += (int)length + 1;
    p->start = false;
}

static void say_class(play *p, word_class class, const char *ending)
{
    say(p, p->words[draw_word(p, class)], ending);
}

/* A subject or object; plural says which forms are used. */
static void noun_phrase(play *p, bool plural)
{
    if (!plural && chance(p, 0.12)) {
        say(p, p->words[p->cast[draw_below(p, CAST)]], "");
        return;
    }
    if (!plural && chance(p, 0.15)) {
        say_class(p, PRONOUN, "");
        return;
    }
    int determiner = (draw_word(p, DETERMINER) - p->begin[DETERMINER]) / 2 * 2 + plural;
    say(p, p->words[p->begin[DETERMINER] + determiner], "");
    if (chance(p, 0.35))
        say_class(p, ADJECTIVE, "");
    int noun = chance(p, 0.4) ? p->subjects[draw_below(p, SUBJECTS)] : draw_word(p, NOUN);
    say(p, p->words[noun], plural ? "s" : "");
}

static void clause(play *p)
{
    bool plural = chance(p, 0.3);
    noun_phrase(p, plural);
    if (chance(p, 0.2))
        say_class(p, ADVERB, "");
    say_class(p, VERB, plural ? "" : "eth");
    if (chance(p, 0.7))
        noun_phrase(p, chance(p, 0.3));
    if (chance(p, 0.35)) {
        say_class(p, PREPOSITION, "");
        noun_phrase(p, chance(p, 0.3));
    }
}

static void sentence(play *p)
{
    static const char *const joints[] = {",", ",", ",", ";", ":", " -"};
    static const char *const ends[] = {".", ".", ".", ".", "!", "?"};
    bool question = false;
    p->start = true;
    if (chance(p, 0.15)) { /* addresses somebody */
        say(p, p->words[p->cast[draw_below(p, CAST)]], ",");
    } else if (chance(p, 0.15)) { /* a question begins with its verb */
        say_class(p, VERB, "'st");
        question = true;
    }
    clause(p);
    while (chance(p, 0.4)) {
        const char *joint = PICK(p, joints);
        put(p, joint, strlen(joint));
        p->column += (int)strlen(joint);
        say_class(p, CONJUNCTION, "");
        clause(p);
    }
    put(p, question ? "?" : PICK(p, ends), 1);
    p->column++;
}

/* ---- scenes ------------------------------------------------------------ */

static void speech(play *p, int speaker)
{
    char name[WORD_SIZE];
    size_t length = strlen(p->words[speaker]);
    for (size_t i = 0; i < length; i++)
        name[i] = (char)toupper((unsigned char)p->words[speaker][i]);
    put(p, name, length);
    put(p, ":\n", 2);
    p->column = 0;
    do
        sentence(p);
    while (chance(p, 0.6));
    put(p, "\n\n", 2);
}

static bool is_cast(const play *p, int place)
{
    for (int i = 0; i < place; i++)
        if (p->cast[i] == p->cast[place])
            return true;
    return false;
}

static void scene(play *p)
{
    for (int i = 0; i < CAST; i++) {
        do
            p->cast[i] = draw_word(p, NAME);
        while (is_cast(p, i));
    }
    for (int i = 0; i < SUBJECTS; i++)
        p->subjects[i] = p->begin[NOUN] + draw_below(p, lexicon[NOUN].words);
    int speaker = draw_below(p, CAST);
    do {
        speech(p, p->cast[speaker]);
        speaker = (speaker + 1 + draw_below(p, CAST - 1)) % CAST; /* nobody answers himself */
    } while (chance(p, 0.94));
}

rv_status rv_grammar_text(unsigned char **text, size_t *size, rv_error *err)
{
    play p = {.words = malloc(WORDS * sizeof *p.words),
              .cumulative = malloc(WORDS * sizeof *p.cumulative),
              .text = malloc(TEXT_SIZE)};
    if (p.words && p.cumulative && p.text) {
        make_vocabulary(&p);
        while (p.size < TEXT_SIZE)
            scene(&p);
        *size = p.size;
        *text = p.text;
        p.text = NULL;
    }
    bool done = !p.text;
    free(p.words);
    free(p.cumulative);
    free(p.text);
    return done ? RV_OK : rv_fail(err, RV_E_MEMORY, "procedural text: out of memory");
}
