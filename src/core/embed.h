/* Files that become part of the library: the assembler reads them, the linker places them. */
#ifndef RV_CORE_EMBED_H
#define RV_CORE_EMBED_H

/* Defines symbol[] and symbol_end[] around the bytes of the file at path, with a zero after
 * them; the symbols are seen within the library only.  Use at file scope. */
#define RV_INCBIN(symbol, path)                                                \
    __asm__(".section .rodata\n"                                               \
            ".balign 16\n" #symbol ":\n.incbin \"" path "\"\n"                 \
            #symbol "_end:\n.byte 0\n.previous\n");                            \
    extern const unsigned char symbol[] __attribute__((visibility("hidden"))); \
    extern const unsigned char symbol##_end[] __attribute__((visibility("hidden")))

#endif
