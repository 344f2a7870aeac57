// Instructions of Armv7-M: products are added at once, and there is one of 64 bits.

.macro ocelli_v6m_weight weight, address, at
    ldrsb \weight, [\address, #\at]
.endm

.macro ocelli_v6m_multiply_add sum, code, weight
    mla \sum, \code, \weight, \sum
.endm

// r4 * r2 + r5 * r3 + r11 in r4.
.macro ocelli_v6m_two_products
    mla r4, r4, r2, r11
    mla r4, r5, r3, r4
.endm

// Twice the sum times the multiplier, and both roundings at once: 2^31 for the first, and in the upper word 2^(e-1),
// less one for negative sums, for the second, which there is only for e > 0 (r10 all ones). This is exact.
// r2 multiplier, r3 e, r8 2^31, r9 2^(e-1) or 0, r10 -1 or 0.
.macro ocelli_v6m_code acc
    and r1, r10, \acc, asr #31
    add r1, r1, r9
    mov r0, r8
    lsl \acc, \acc, #1
    smlal r0, r1, \acc, r2
    asr \acc, r1, r3
.endm

.macro ocelli_v6m_codes pixels
    ldr r2, [sp, #56]
    ldr r2, [r2, r3]
    ldr r1, [sp, #60]
    lsrs r3, r3, #2
    ldrsb r3, [r1, r3]
    ldr r0, [sp, #80]
    mov r11, r0
    rsbs r3, r3, #0
    blt 21f
    mov r8, #0x80000000
    mov r0, #1
    lsl r0, r0, r3
    lsr r9, r0, #1
    ite eq
    moveq r10, #0
    movne r10, #-1
    ocelli_v6m_code r4
    ocelli_v6m_code r6
.if \pixels > 2
    ocelli_v6m_code r5
    ocelli_v6m_code r7
.endif
23: ocelli_v6m_clamp r4
    ocelli_v6m_clamp r6
.if \pixels > 2
    ocelli_v6m_clamp r5
    ocelli_v6m_clamp r7
.endif
.endm

.macro ocelli_v6m_slow_way acc
    mov r0, \acc
    bl ocelli_v6m_apply
    mov \acc, r0
.endm

// A shift to the left.
.macro ocelli_v6m_slow_ways pixels
21: ocelli_v6m_slow_way r4
    ocelli_v6m_slow_way r6
.if \pixels > 2
    ocelli_v6m_slow_way r5
    ocelli_v6m_slow_way r7
.endif
    ldr r0, [sp, #84]
    mov lr, r0
    b 23b
.endm
