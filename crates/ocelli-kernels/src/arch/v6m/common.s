// What all loops of Armv6-M have in common. The stack of those with `ocelli_v6m_enter`, by bytes from sp:
//   0 four times the channel's number   4 words, pixels or list   8 weights or the list's end   12 output   16 bias
//  20 r8-r11, r4-r7, lr of the caller  56 multiplier  60 shift  64 four times the channels
//  68 72 76 where the second, third and fourth pixel's codes lie  80 zero point  84 min  88 max  92 limit  96 round
// 100 104 108 112 of the matrix: where whole eights and whole pairs of taps end, whether there is one more, minus the
//     number of pairs
// 100 of codes as they lie: minus the taps

// Saves registers, and puts the arguments behind those on the stack.
.macro ocelli_v6m_enter
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    push {r0-r3}
    sub sp, #4
    movs r0, #0
    str r0, [sp]
    ldr r0, [sp, #88]
    mov r12, r0
    ldr r0, [sp, #84]
    mov lr, r0
.endm

.macro ocelli_v6m_leave
    add sp, #20
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.endm

// Adds the zero point (r11), and brings a code into the range of the activation (r12, lr).
.macro ocelli_v6m_clamp acc
    add \acc, r11
    cmp \acc, r12
    ble 11f
    mov \acc, r12
11: cmp \acc, lr
    bge 12f
    mov \acc, lr
12:
.endm

// From the sums of products of one channel, of pixels 0 to 3 in r4, r6, r5, r7, to their codes in memory, and on to the
// next channel. `op` adds them to the bias or subtracts them from it.
.macro ocelli_v6m_finish op, pixels
    ldr r3, [sp]
    ldr r1, [sp, #16]
    ldr r1, [r1, r3]
    \op r4, r1, r4
    \op r6, r1, r6
.if \pixels > 2
    \op r5, r1, r5
    \op r7, r1, r7
.endif
    ocelli_v6m_codes \pixels
    ldr r0, [sp, #12]
.if \pixels > 2
    ldr r1, [sp, #76]
    strb r7, [r0, r1]
    ldr r1, [sp, #72]
    strb r5, [r0, r1]
.endif
    ldr r1, [sp, #68]
    strb r6, [r0, r1]
    strb r4, [r0]
    adds r0, #1
    str r0, [sp, #12]
    ldr r0, [sp]
    adds r0, #4
    str r0, [sp]
    ldr r1, [sp, #64]
    cmp r0, r1
    beq 50f
    b 1b
    ocelli_v6m_slow_ways \pixels
50: ocelli_v6m_leave
.endm

