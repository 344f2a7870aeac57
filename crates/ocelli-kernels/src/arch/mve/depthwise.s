// A strip of columns, and windows over it. See depthwise.rs for the layout of the jobs and the method.

// One loop over columns that lie inside the rows: r0-r3 the rows, r4-r7 their steps, r8 the strip, lr the columns.
    .macro ocelli_mve_zip rows
    wls lr, lr, 2f
1:
    .if \rows == 4
    vpstttt
    .else
    vpsttt
    .endif
    vldrbt.u8 q0, [r0]
    vldrbt.u8 q1, [r1]
    vldrbt.u8 q2, [r2]
    .if \rows == 4
    vldrbt.u8 q3, [r3]
    .endif
    add r0, r4
    vst40.8 {q0, q1, q2, q3}, [r8]
    add r1, r5
    vst41.8 {q0, q1, q2, q3}, [r8]
    add r2, r6
    vst42.8 {q0, q1, q2, q3}, [r8]
    .if \rows == 4
    add r3, r7
    .endif
    vst43.8 {q0, q1, q2, q3}, [r8]!
    le lr, 1b
2:
    .endm

    .pushsection .text.ocelli_mve_columns, "ax", %progbits
    .cpu cortex-m55
    .syntax unified
    .thumb
    .p2align 2
    .global ocelli_mve_columns
    .type ocelli_mve_columns, %function
    .thumb_func
ocelli_mve_columns:
    push {r4-r11, lr}
    vpush {d8-d9}
    ldrd r8, lr, [r0, #32]
    ldrd r9, r10, [r0, #40]
    ldrd r1, r2, [r0, #48]
    ldr r11, [r0, #56]
    vctp.8 r2
    vdup.32 q4, r1
    wls lr, lr, 2f
1:  vstrw.32 q4, [r8], #16
    vstrw.32 q4, [r8], #16
    vstrw.32 q4, [r8], #16
    vstrw.32 q4, [r8], #16
    le lr, 1b
2:  ldm r0, {r0-r7}
    mov lr, r9
    cmp r11, #4
    beq 3f
    vmov.i32 q3, #0
    ocelli_mve_zip 3
    b 4f
3:  ocelli_mve_zip 4
4:  wls lr, r10, 6f
5:  vstrw.32 q4, [r8], #16
    vstrw.32 q4, [r8], #16
    vstrw.32 q4, [r8], #16
    vstrw.32 q4, [r8], #16
    le lr, 5b
6:  vpop {d8-d9}
    pop {r4-r11, pc}
    .size ocelli_mve_columns, . - ocelli_mve_columns
    .popsection

// One loop over the pixels of a row: four sums, four codes.
    .macro ocelli_mve_windows is_relu
1:  ldm r1, {r0, r2, r4, r6}
    vldrw.u32 q4, [q7]
    vmladava.s8 r0, q4, q0
    vldrw.u32 q4, [q7, #4]
    vmladava.s8 r2, q4, q1
    vldrw.u32 q4, [q7, #8]
    vmladava.s8 r4, q4, q2
    vldrw.u32 q4, [q7, #12]
    vmladava.s8 r6, q4, q3
    vadd.i32 q7, q7, r9
    vmov q4[2], q4[0], r0, r4
    vmov q4[3], q4[1], r2, r6
    vqrdmulh.s32 q4, q4, q5
    .if \is_relu == 0
    // Halves away from zero: one less for what is negative, and then halves up.
    vpt.s32 lt, q4, zr
    vaddt.i32 q4, q4, r12
    .endif
    vrshl.s32 q4, q4, q6
    vadd.i32 q4, q4, r7
    vqmovnb.s32 q4, q4
    vqmovnb.s16 q4, q4
    vstrb.32 q4, [r3]
    add r3, r5
    le lr, 1b
    .endm

    .pushsection .text.ocelli_mve_windows, "ax", %progbits
    .p2align 2
    .global ocelli_mve_windows
    .type ocelli_mve_windows, %function
    .thumb_func
ocelli_mve_windows:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #4
    mov r8, r0
    movs r10, #0
    // Four channels from channel r10 of the strip on: weights in q0-q3, multipliers in q5, shifts in q6, addresses in q7.
10: ldrd r0, r1, [r8]
    add r0, r0, r10, lsl #2
    add r1, r1, r10, lsl #2
    adr.w r2, 90f
    vldrw.u32 q7, [r2]
    vadd.i32 q7, q7, r1
    vldrw.u32 q0, [q7]
    vldrw.u32 q1, [q7, #4]
    vldrw.u32 q2, [q7, #8]
    vldrw.u32 q3, [q7, #12]
    add r2, r8, #48
    vldrw.u32 q7, [r2]
    vadd.i32 q7, q7, r0
    ldrd r1, r2, [r8, #8]
    add r1, r1, r10, lsl #2
    add r2, r2, r10, lsl #2
    vldrw.u32 q5, [r2]
    ldrd r2, r3, [r8, #16]
    add r2, r10
    vldrb.s32 q6, [r2]
    add r3, r10
    ldrd r5, r7, [r8, #24]
    ldr r9, [r8, #32]
    ldr r11, [r8, #64]
20: ldrd r12, r4, [r8, #36]
    dls lr, r12
    mvn r12, #0
    cbz r4, 30f
    ocelli_mve_windows 1
    b 40f
30: ocelli_mve_windows 0
40: ldr r0, [r8, #68]
    vadd.i32 q7, q7, r0
    subs r11, #1
    bne.w 20b
    ldr r1, [r8, #44]
    adds r10, #4
    cmp r10, r1
    bhs 50f
    subs r1, #4
    cmp r10, r1
    it hi
    movhi r10, r1
    b.w 10b
50: add sp, sp, #4
    vpop {d8-d15}
    pop {r4-r11, pc}
    .p2align 2
90: .word 0, 64, 128, 192
    .size ocelli_mve_windows, . - ocelli_mve_windows
    .popsection

// The same for one row of windows, filters of more than one vector and any shift: codes and weights are gathered for each.
    .pushsection .text.ocelli_mve_many_windows, "ax", %progbits
    .p2align 2
    .global ocelli_mve_many_windows
    .type ocelli_mve_many_windows, %function
    .thumb_func
ocelli_mve_many_windows:
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, sp, #4
    mov r8, r0
    movs r10, #0
    // Four channels from channel r10 of the strip on: addresses of weights in q4 and of codes in q7.
10: ldrd r0, r1, [r8]
    add r0, r0, r10, lsl #2
    add r1, r1, r10, lsl #2
    adr.w r2, 90f
    vldrw.u32 q4, [r2]
    vadd.i32 q4, q4, r1
    add r2, r8, #48
    vldrw.u32 q7, [r2]
    vadd.i32 q7, q7, r0
    ldrd r1, r2, [r8, #8]
    add r1, r1, r10, lsl #2
    add r2, r2, r10, lsl #2
    vldrw.u32 q5, [r2]
    ldrd r2, r3, [r8, #16]
    add r2, r10
    vldrb.s32 q6, [r2]
    add r3, r10
    ldr r7, [r8, #28]
    ldrd r9, r11, [r8, #32]
20: ldm r1, {r0, r2, r4, r6}
    vmov q2, q7
    vmov q3, q4
    add r12, r8, #72
    ldr r5, [r12], #4
    dls lr, r5
30: vldrw.u32 q0, [q2]
    vldrw.u32 q1, [q3]
    vmladava.s8 r0, q0, q1
    vldrw.u32 q0, [q2, #4]
    vldrw.u32 q1, [q3, #4]
    vmladava.s8 r2, q0, q1
    vldrw.u32 q0, [q2, #8]
    vldrw.u32 q1, [q3, #8]
    vmladava.s8 r4, q0, q1
    vldrw.u32 q0, [q2, #12]
    vldrw.u32 q1, [q3, #12]
    vmladava.s8 r6, q0, q1
    ldr r5, [r12], #4
    vadd.i32 q2, q2, r5
    mov r5, #256
    vadd.i32 q3, q3, r5
    le lr, 30b
    vadd.i32 q7, q7, r9
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vmov.i32 q1, #0
    vmax.s32 q2, q6, q1
    vmin.s32 q3, q6, q1
    vshl.s32 q0, q0, q2
    vqrdmulh.s32 q0, q0, q5
    // Halves away from zero: one less for what is negative, and then halves up. Nothing is rounded where nothing is shifted.
    vand q1, q0, q3
    vshr.s32 q1, q1, #31
    vadd.i32 q0, q0, q1
    vrshl.s32 q0, q0, q3
    vadd.i32 q0, q0, r7
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    ldr r5, [r8, #24]
    vstrb.32 q0, [r3]
    add r3, r5
    subs r11, #1
    bne 20b
    ldr r1, [r8, #44]
    adds r10, #4
    cmp r10, r1
    bhs 50f
    subs r1, #4
    cmp r10, r1
    it hi
    movhi r10, r1
    b 10b
50: add sp, sp, #4
    vpop {d8-d15}
    pop {r4-r11, pc}
    .p2align 2
90: .word 0, 64, 128, 192
    .size ocelli_mve_many_windows, . - ocelli_mve_many_windows
    .popsection
