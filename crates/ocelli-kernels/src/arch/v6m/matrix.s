// Two taps of two pixels: the sum of two products of (upper * 2^16 + lower) with a weight each. Negative codes are at
// most 128 and at least -127, so that both halves of the sum lie in -32,768 ..= 32,512; one is added to the upper half
// (2^16 in r11), which so stays in 16 bits when the lower one borrows from it. The lower one is negative where its bit
// 15 is set, and then the upper one is too small by one: the shift leaves that bit in the carry.
.macro ocelli_v6m_two_taps all, upper
    ldmia r0!, {r4, r5}
    ocelli_v6m_two_products
    add \all, r4
    asrs r4, r4, #16
    adcs \upper, r4
.endm

.macro ocelli_v6m_two_weights at, pixels
    ocelli_v6m_weight r2, r1, \at
    ocelli_v6m_weight r3, r1, \at + 1
    ocelli_v6m_two_taps r8, r6
.if \pixels > 2
    ocelli_v6m_two_taps r9, r7
.endif
.endm

.macro ocelli_v6m_one_tap all, upper
    ldmia r0!, {r4}
    muls r4, r2, r4
    add \all, r4
    asrs r4, r4, #16
    adcs \upper, r4
.endm

// Pairs of pixels, each with the sum of all words (r8, r9) and of the upper halves alone (r6, r7): the sum of the lower
// ones is what is left of the first. Everything is negative, and subtracted from the bias.
// All begin at minus the ones that will be added. r0 words, r1 weights, r2 r3 two weights, r4 r5 products, r10 the end.
.macro ocelli_v6m_matrix pixels
    ocelli_v6m_enter
1:  movs r2, #1
    lsls r2, r2, #16
    mov r11, r2
    ldr r6, [sp, #112]
    mov r7, r6
    lsls r2, r6, #16
    mov r8, r2
    mov r9, r2
    ldr r0, [sp, #4]
    ldr r1, [sp, #8]
    ldr r2, [sp, #100]
    mov r10, r2
    cmp r0, r10
    beq 3f
2:  ocelli_v6m_two_weights 0, \pixels
    ocelli_v6m_two_weights 2, \pixels
    ocelli_v6m_two_weights 4, \pixels
    ocelli_v6m_two_weights 6, \pixels
    adds r1, #8
    cmp r0, r10
    bne 2b
3:  ldr r2, [sp, #104]
    mov r10, r2
    cmp r0, r10
    beq 5f
4:  ocelli_v6m_two_weights 0, \pixels
    adds r1, #2
    cmp r0, r10
    bne 4b
5:  ldr r2, [sp, #108]
    cmp r2, #0
    beq 6f
    ocelli_v6m_weight r2, r1, 0
    adds r1, #1
    ocelli_v6m_one_tap r8, r6
.if \pixels > 2
    ocelli_v6m_one_tap r9, r7
.endif
6:  str r1, [sp, #8]
    mov r4, r8
    lsls r5, r6, #16
    subs r4, r4, r5
.if \pixels > 2
    mov r5, r9
    lsls r0, r7, #16
    subs r5, r5, r0
.endif
    ocelli_v6m_finish subs, \pixels
.endm

.section .text.ocelli_v6m_matrix_4,"ax",%progbits
.balign 4
.globl ocelli_v6m_matrix_4
.type ocelli_v6m_matrix_4, %function
.thumb_func
ocelli_v6m_matrix_4:
    ocelli_v6m_matrix 4
.size ocelli_v6m_matrix_4, . - ocelli_v6m_matrix_4

.section .text.ocelli_v6m_matrix_2,"ax",%progbits
.balign 4
.globl ocelli_v6m_matrix_2
.type ocelli_v6m_matrix_2, %function
.thumb_func
ocelli_v6m_matrix_2:
    ocelli_v6m_matrix 2
.size ocelli_v6m_matrix_2, . - ocelli_v6m_matrix_2

// The codes of four pixels times a filter: one index from -count to 0 behind the ends of all. The products are made of
// the codes, so that the weight stays: r0 weights, r1 a weight, r2 the index, r3-r6 pixels, r7 a code, r8-r11 sums.
.section .text.ocelli_v6m_codes_4,"ax",%progbits
.balign 4
.globl ocelli_v6m_codes_4
.type ocelli_v6m_codes_4, %function
.thumb_func
ocelli_v6m_codes_4:
    ocelli_v6m_enter
1:  ldr r1, [sp, #4]
    ldmia r1!, {r3, r4, r5, r6}
    ldr r2, [sp, #100]
    ldr r0, [sp, #8]
    subs r0, r0, r2
    str r0, [sp, #8]
    movs r7, #0
    mov r8, r7
    mov r9, r7
    mov r10, r7
    mov r11, r7
2:  ldrsb r1, [r0, r2]
    ldrsb r7, [r3, r2]
    ocelli_v6m_multiply_add r8, r7, r1
    ldrsb r7, [r4, r2]
    ocelli_v6m_multiply_add r9, r7, r1
    ldrsb r7, [r5, r2]
    ocelli_v6m_multiply_add r10, r7, r1
    ldrsb r7, [r6, r2]
    ocelli_v6m_multiply_add r11, r7, r1
    adds r2, #1
    bne 2b
    mov r4, r8
    mov r6, r9
    mov r5, r10
    mov r7, r11
    ocelli_v6m_finish adds, 4
.size ocelli_v6m_codes_4, . - ocelli_v6m_codes_4

// Words of two pixels, minus (upper * 2^16 + lower), for pairs of taps: r0 lower, r1 upper, r2 words, r3 pairs of taps;
// on the stack the bytes from one pair of taps to the next.
.section .text.ocelli_v6m_expand,"ax",%progbits
.balign 4
.globl ocelli_v6m_expand
.type ocelli_v6m_expand, %function
.thumb_func
ocelli_v6m_expand:
    push {r4-r7, lr}
    ldr r7, [sp, #20]
    lsls r3, r3, #1
    adds r0, r0, r3
    adds r1, r1, r3
    rsbs r3, r3, #0
2:  ldrsb r4, [r0, r3]
    ldrsb r5, [r1, r3]
    lsls r5, r5, #16
    adds r4, r4, r5
    rsbs r4, r4, #0
    adds r3, #1
    ldrsb r5, [r0, r3]
    ldrsb r6, [r1, r3]
    lsls r6, r6, #16
    adds r5, r5, r6
    rsbs r5, r5, #0
    str r4, [r2]
    str r5, [r2, #4]
    adds r2, r2, r7
    adds r3, #1
    bne 2b
    pop {r4-r7, pc}
.size ocelli_v6m_expand, . - ocelli_v6m_expand

// Codes times four filters: one index from -count to 0 behind the ends of all. The products are made of the weights, so
// that the code stays: r0 codes, r1 a code, r2 the index, r3-r6 filters, r7 a weight, r8-r11 sums.
.section .text.ocelli_v6m_dots,"ax",%progbits
.balign 4
.globl ocelli_v6m_dots
.type ocelli_v6m_dots, %function
.thumb_func
ocelli_v6m_dots:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r3-r7}
    ldmia r1!, {r3, r4, r5, r6}
    adds r0, r0, r2
    adds r3, r3, r2
    adds r4, r4, r2
    adds r5, r5, r2
    adds r6, r6, r2
    rsbs r2, r2, #0
    movs r7, #0
    mov r8, r7
    mov r9, r7
    mov r10, r7
    mov r11, r7
2:  ldrsb r1, [r0, r2]
    ldrsb r7, [r3, r2]
    ocelli_v6m_multiply_add r8, r7, r1
    ldrsb r7, [r4, r2]
    ocelli_v6m_multiply_add r9, r7, r1
    ldrsb r7, [r5, r2]
    ocelli_v6m_multiply_add r10, r7, r1
    ldrsb r7, [r6, r2]
    ocelli_v6m_multiply_add r11, r7, r1
    adds r2, #1
    bne 2b
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    pop {r3}
    stmia r3!, {r4, r5, r6, r7}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.size ocelli_v6m_dots, . - ocelli_v6m_dots
