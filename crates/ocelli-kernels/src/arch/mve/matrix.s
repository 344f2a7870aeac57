// Filters times pixels, four filters and two pixels at a time. See matrix.rs for the job's layout and the method.
//
// Frame, from sp:
//   0  bias and weights of each of the four filters, in turns: what r0-r7 start with
//   32 the four biases once more, for the second pixel: r8, r10, r12, lr
//   48 where a pair of pixels begins, 52 the full steps, 56 what follows them, 60 what ends the pair
//   64 room for r0, 68 rounds left
//   72 output, 76 channels, 80 from the end of a pair to the next, 84 end of the pairs: read as one
//   88 job, 92 channel
    .pushsection .text.ocelli_mve_matrix, "ax", %progbits
    .cpu cortex-m55
    .syntax unified
    .thumb
    .p2align 2
    .global ocelli_mve_matrix
    .type ocelli_mve_matrix, %function
    .thumb_func
ocelli_mve_matrix:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #100
    str r0, [sp, #88]
    movs r8, #0
    // A first step that is not full has its bytes in the upper lanes.
    ldr r1, [r0, #48]
    vctp.8 r1
    vpnot
    ldr r2, [r0, #44]
    vdup.16 q6, r2
    // Code addresses with the bit of Thumb code.
    ldr r2, [r0, #52]
    adr.w r4, 40f
    adds r4, #1
    subs r4, r4, r2
    adr.w r3, 20f
    adds r3, #1
    cmp r1, #0
    it eq
    moveq r3, r4
    strd r3, r4, [sp, #48]
    adr.w r5, 50f
    ldr r2, [r0, #64]
    cbz r2, 1f
    adr.w r5, 60f
    cmp r2, #2
    bne 1f
    adr.w r5, 55f
1:  adds r5, #1
    adr.w r3, 45f
    adds r3, #1
    ldr r2, [r0, #56]
    str r2, [sp, #68]
    cmp r2, #0
    it eq
    moveq r3, r5
    strd r3, r5, [sp, #56]
    ldrd r1, r2, [r0, #36]
    ldr r3, [r0, #24]
    strd r1, r2, [sp, #76]
    str r3, [sp, #84]

    // Four channels from channel r8 on.
10: ldr r12, [sp, #88]
    str r8, [sp, #92]
    ldrd r9, r1, [r12]
    ldr r10, [r12, #32]
    mla r1, r8, r10, r1
    add r3, r1, r10
    add r5, r3, r10
    add r7, r5, r10
    add r11, r9, r10
    ldr r10, [r12, #8]
    add r10, r10, r8, lsl #2
    ldm r10, {r0, r2, r4, r6}
    stm sp, {r0-r7}
    strd r0, r2, [sp, #32]
    strd r4, r6, [sp, #40]
    ldrd r0, r1, [r12, #12]
    add r0, r0, r8, lsl #2
    vldrw.u32 q4, [r0]
    add r1, r1, r8
    vldrb.s32 q5, [r1]
    vmov.i32 q0, #0
    vmax.s32 q7, q5, q0
    vmin.s32 q5, q5, q0
    ldr r0, [r12, #20]
    add r0, r0, r8
    str r0, [sp, #72]
    ldr r0, [sp, #84]
    cmp r9, r0
    beq.w 70f

    // A pair of pixels: r9 and r11. Filters: r1, r3, r5, r7. Sums: r0, r2, r4, r6 and r8, r10, r12, lr.
15: ldm sp, {r0-r8, r10, r12, lr}
    ldr pc, [sp, #48]
    // The step that is not full: lanes that are off load zeros and touch no memory.
    .p2align 2
20: vpstttt
    vldrbt.u8 q0, [r9], #16
    vldrbt.u8 q1, [r11], #16
    vldrbt.u8 q2, [r1], #16
    vldrbt.u8 q3, [r3], #16
    vmladava.s8 r0, q0, q2
    vmladava.s8 r8, q1, q2
    vmladava.s8 r2, q0, q3
    vmladava.s8 r10, q1, q3
    vpstt
    vldrbt.u8 q2, [r5], #16
    vldrbt.u8 q3, [r7], #16
    vmladava.s8 r4, q0, q2
    vmladava.s8 r12, q1, q2
    vmladava.s8 r6, q0, q3
    vmladava.s8 lr, q1, q3
    ldr pc, [sp, #52]
    // Full steps, of which the last ones are run.
    .p2align 2
30:
    .rept 9
    vldrb.u8 q0, [r9], #16
    vldrb.u8 q2, [r1], #16
    vmladava.s8 r0, q0, q2
    vldrb.u8 q1, [r11], #16
    vmladava.s8 r8, q1, q2
    vldrb.u8 q3, [r3], #16
    vmladava.s8 r2, q0, q3
    vldrb.u8 q2, [r5], #16
    vmladava.s8 r10, q1, q3
    vldrb.u8 q3, [r7], #16
    vmladava.s8 r4, q0, q2
    vmladava.s8 r12, q1, q2
    vmladava.s8 r6, q0, q3
    vmladava.s8 lr, q1, q3
    .endr
    .p2align 2
40: ldr pc, [sp, #56]
    // More than nine steps: every register is in use, so one makes room.
    .p2align 2
45: str r0, [sp, #64]
    ldr r0, [sp, #68]
    subs r0, #1
    str r0, [sp, #68]
    ldr r0, [sp, #64]
    bpl.w 30b
    str r0, [sp, #64]
    ldr r0, [sp, #88]
    ldr r0, [r0, #56]
    str r0, [sp, #68]
    ldr r0, [sp, #64]
    ldr pc, [sp, #60]

    // From sums to codes, halves away from zero: one less for what is negative, and then halves up.
    .p2align 2
50: vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vqrdmulh.s32 q0, q0, q4
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
    vqrdmulh.s32 q1, q1, q4
    vshr.s32 q2, q0, #31
    vadd.i32 q0, q0, q2
    vshr.s32 q3, q1, #31
    vadd.i32 q1, q1, q3
    b 65f
    // The same where channels are shifted to the left, in q7, or not at all: then nothing is rounded.
    .p2align 2
55: vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vshl.s32 q0, q0, q7
    vqrdmulh.s32 q0, q0, q4
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
    vshl.s32 q1, q1, q7
    vqrdmulh.s32 q1, q1, q4
    vand q2, q0, q5
    vshr.s32 q2, q2, #31
    vadd.i32 q0, q0, q2
    vand q3, q1, q5
    vshr.s32 q3, q3, #31
    vadd.i32 q1, q1, q3
    b 65f
    // The same where nothing below the zero point comes out.
    .p2align 2
60: vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vqrdmulh.s32 q0, q0, q4
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
    vqrdmulh.s32 q1, q1, q4
    // The first pixel's numbers in the lower halves of the lanes, the second one's in the upper.
65: vrshl.s32 q0, q0, q5
    add r0, sp, #72
    vrshl.s32 q1, q1, q5
    ldm r0, {r0-r3}
    vqmovnb.s32 q0, q0
    vqmovnt.s32 q0, q1
    vqadd.s16 q0, q0, q6
    vqmovnb.s16 q0, q0
    add r9, r2
    vstrb.32 q0, [r0]
    add r0, r1
    vshr.u32 q0, q0, #16
    add r11, r2
    vstrb.32 q0, [r0]
    add r0, r1
    str r0, [sp, #72]
    cmp r9, r3
    bne.w 15b

    // A pixel that is left over.
70: ldr r10, [sp, #88]
    ldr r11, [r10, #28]
    cmp r11, #0
    beq.w 90f
    ldm sp, {r0-r7}
    ldr r12, [r10, #48]
    cmp r12, #0
    beq 75f
    vpstttt
    vldrbt.u8 q0, [r9], #16
    vldrbt.u8 q1, [r1], #16
    vldrbt.u8 q2, [r3], #16
    vldrbt.u8 q3, [r5], #16
    vmladava.s8 r0, q0, q1
    vpst
    vldrbt.u8 q1, [r7], #16
    vmladava.s8 r2, q0, q2
    vmladava.s8 r4, q0, q3
    vmladava.s8 r6, q0, q1
75: ldr r12, [r10, #60]
    wls lr, r12, 80f
77: vldrb.u8 q0, [r9], #16
    vldrb.u8 q1, [r1], #16
    vmladava.s8 r0, q0, q1
    vldrb.u8 q2, [r3], #16
    vmladava.s8 r2, q0, q2
    vldrb.u8 q3, [r5], #16
    vmladava.s8 r4, q0, q3
    vldrb.u8 q1, [r7], #16
    vmladava.s8 r6, q0, q1
    le lr, 77b
80: vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vshl.s32 q0, q0, q7
    vqrdmulh.s32 q0, q0, q4
    vand q2, q0, q5
    vshr.s32 q2, q2, #31
    vadd.i32 q0, q0, q2
    vrshl.s32 q0, q0, q5
    ldr r0, [sp, #72]
    vqmovnb.s32 q0, q0
    vqadd.s16 q0, q0, q6
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r0]

    // The next channels; the last ones may be some that were there already.
90: ldr r8, [sp, #92]
    ldr r1, [sp, #76]
    adds r8, #4
    cmp r8, r1
    bhs 95f
    subs r1, #4
    cmp r8, r1
    it hi
    movhi r8, r1
    b 10b
95: add sp, sp, #100
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size ocelli_mve_matrix, . - ocelli_mve_matrix
    .popsection
