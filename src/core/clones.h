/* Functions that are compiled for several instruction sets.  What they call must be inlined into them, and their
 * file compiled without contraction, so that all copies give the same bits. */
#ifndef RV_CORE_CLONES_H
#define RV_CORE_CLONES_H

/* One copy of a function per instruction set, chosen when the program is loaded; sanitizers
 * cannot instrument that choice. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RV_CLONES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define RV_CLONES
#endif
#endif
#if !defined(RV_CLONES) && defined(__x86_64__) && defined(__gnu_linux__)
#define RV_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#elif !defined(RV_CLONES)
#define RV_CLONES
#endif

#endif
