/* What a thread does between two looks at a counter that another is about to change. */
#ifndef RV_CORE_SPIN_H
#define RV_CORE_SPIN_H

static inline void rv_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

#endif
