// Instructions of Armv6-M; Armv7-M has better ones for the same, in v7m.s.

.macro ocelli_v6m_weight weight, address, at
    ldrb \weight, [\address, #\at]
    sxtb \weight, \weight
.endm

// The code is lost.
.macro ocelli_v6m_multiply_add sum, code, weight
    muls \code, \weight, \code
    add \sum, \code
.endm

// r4 * r2 + r5 * r3 + r11 in r4.
.macro ocelli_v6m_two_products
    muls r4, r2, r4
    muls r5, r3, r5
    adds r4, r4, r5
    add r4, r11
.endm

// The code of a sum: a * m >> 22 with a = sum >> (e - 7) and the upper 15 bits m of the multiplier. What is left out
// could change it only if the product, rounded up by the largest error, ends in bits below 2^17: then, and for sums
// beyond the limit, the slow way is gone.
// r2 m, r3 e - 7, r8 limit, r9 twice the limit, r10 round, r11 zero point, r12 max, lr min.
.macro ocelli_v6m_code acc, slow, back
    mov r0, \acc
    asrs r0, r0, r3
    mov r1, r8
    adds r1, r1, r0
    cmp r1, r9
    bhs \slow
    muls r0, r2, r0
    add r0, r10
    lsls r1, r0, #10
    lsrs r1, r1, #27
    beq \slow
    asrs \acc, r0, #22
\back:
    ocelli_v6m_clamp \acc
.endm

.macro ocelli_v6m_slow acc, slow, back
\slow:
    mov r0, \acc
    bl ocelli_v6m_exact
    ldr r1, [sp, #84]
    mov lr, r1
    mov \acc, r0
    b \back
.endm

// Codes of the channel's sums, in place.
.macro ocelli_v6m_codes pixels
    ldr r2, [sp, #56]
    ldr r2, [r2, r3]
    ldr r1, [sp, #60]
    lsrs r3, r3, #2
    ldrsb r3, [r1, r3]
    lsrs r2, r2, #16
    movs r0, #0
    adcs r2, r0
    rsbs r3, r3, #0
    subs r3, #7
    bge 22f
    // A small exponent: all bits of the sum, more of the multiplier, so that the product is the same. Both roundings
    // count then: the first one's half is on the side of the sum's sign, which matters only if negative values do.
    adds r3, #7
    blt 21f
    beq 20f
    ldr r0, [sp, #80]
    ldr r1, [sp, #84]
    cmp r0, r1
    bne 21f
20: ldr r0, [sp]
    ldr r1, [sp, #56]
    ldr r2, [r1, r0]
    lsrs r0, r2, #30
    beq 21f
    movs r0, #9
    adds r0, r0, r3
    lsrs r2, r0
    movs r1, #0
    adcs r2, r1
    movs r0, #255
    lsls r0, r3
    lsls r0, r0, #1
    mov r8, r0
    adds r0, r0, r0
    mov r9, r0
    cmp r3, #0
    beq 19f
    movs r1, #1
    lsls r1, r1, #21
    lsrs r1, r3
19: ldr r0, [sp, #96]
    adds r0, r0, r1
    mov r10, r0
    movs r3, #0
    b 23f
    // No limit: the slow way for all sums.
21: movs r3, #0
    mov r9, r3
    b 23f
22: lsrs r1, r2, #14
    beq 21b
    ldr r0, [sp, #92]
    mov r8, r0
    adds r0, r0, r0
    mov r9, r0
    ldr r0, [sp, #96]
    mov r10, r0
23:
    ldr r0, [sp, #80]
    mov r11, r0
    ocelli_v6m_code r4, 31f, 41
    ocelli_v6m_code r6, 32f, 42
.if \pixels > 2
    ocelli_v6m_code r5, 33f, 43
    ocelli_v6m_code r7, 34f, 44
.endif
.endm

// What `ocelli_v6m_codes` branches to, out of the way.
.macro ocelli_v6m_slow_ways pixels
    ocelli_v6m_slow r4, 31, 41b
    ocelli_v6m_slow r6, 32, 42b
.if \pixels > 2
    ocelli_v6m_slow r5, 33, 43b
    ocelli_v6m_slow r7, 34, 44b
.endif
.endm

// The way of all sums where the fast one cannot tell: r0 the sum, r3 the shift of the fast way, r8 and r9 its limits
// (0: none of its sums can be trusted). Gives the value without the zero point in r0; keeps r2-r7; changes r1.
.section .text.ocelli_v6m_exact,"ax",%progbits
.balign 4
.type ocelli_v6m_exact, %function
.thumb_func
ocelli_v6m_exact:
    movs r1, r0
    asrs r1, r1, r3
    add r1, r8
    cmp r1, r9
    blo 1f
    mov r1, r9
    cmp r1, #0
    beq 1f
    // Beyond the limit: 1,024 or -1,025, which is beyond all codes as well.
    asrs r0, r0, #31
    movs r1, #1
    lsls r1, r1, #10
    eors r0, r1
    bx lr
1:  push {r4, lr}
    bl ocelli_v6m_apply
    pop {r4, pc}
.size ocelli_v6m_exact, . - ocelli_v6m_exact
