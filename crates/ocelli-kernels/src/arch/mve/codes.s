// Runs of codes. See codes.rs.

    .pushsection .text.ocelli_mve_copy, "ax", %progbits
    .cpu cortex-m55
    .syntax unified
    .thumb
    .p2align 2
    .global ocelli_mve_copy
    .type ocelli_mve_copy, %function
    .thumb_func
// to r0, from r1, bytes r2, count r3, then on the stack the steps of to and from.
ocelli_mve_copy:
    push {r4-r8, lr}
    ldrd r4, r5, [sp, #24]
1:  mov r6, r0
    mov r7, r1
    wlstp.8 lr, r2, 3f
2:  vldrb.u8 q0, [r7], #16
    vstrb.8 q0, [r6], #16
    letp lr, 2b
3:  add r0, r4
    add r1, r5
    subs r3, #1
    bne 1b
    pop {r4-r8, pc}
    .size ocelli_mve_copy, . - ocelli_mve_copy
    .popsection

    .pushsection .text.ocelli_mve_add, "ax", %progbits
    .p2align 2
    .global ocelli_mve_add
    .type ocelli_mve_add, %function
    .thumb_func
// job r0. Inputs r0 and r1, output r2; offsets r3, r4; multipliers r5, r6; what negative numbers get r7, r8; shifts r9, r10;
// of the sum: multiplier r11, shift r12. q7: 2^20, q6: zero point, q5: -1.
ocelli_mve_add:
    push {r4-r11, lr}
    vpush {d10-d15}
    sub sp, sp, #4
    ldr r1, [r0, #52]
    vdup.32 q6, r1
    mov r1, #0x100000
    vdup.32 q7, r1
    vmvn.i32 q5, #0
    ldr lr, [r0, #56]
    ldm r0, {r0-r12}
    wlstp.32 lr, lr, 2f
1:  vldrb.s32 q0, [r0], #4
    vmlas.s32 q0, q7, r3
    vldrb.s32 q1, [r1], #4
    vqrdmulh.s32 q0, q0, r5
    vmlas.s32 q1, q7, r4
    vqrdmulh.s32 q1, q1, r6
    vpt.s32 lt, q0, zr
    vaddt.i32 q0, q0, r7
    vrshl.s32 q0, r9
    vpt.s32 lt, q1, zr
    vaddt.i32 q1, q1, r8
    vrshl.s32 q1, r10
    vadd.i32 q0, q0, q1
    vqrdmulh.s32 q0, q0, r11
    vpt.s32 lt, q0, zr
    vaddt.i32 q0, q0, q5
    vrshl.s32 q0, r12
    vadd.i32 q0, q0, q6
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vstrb.32 q0, [r2], #4
    letp lr, 1b
2:  add sp, sp, #4
    vpop {d10-d15}
    pop {r4-r11, pc}
    .size ocelli_mve_add, . - ocelli_mve_add
    .popsection

    .pushsection .text.ocelli_mve_sum, "ax", %progbits
    .p2align 2
    .global ocelli_mve_sum
    .type ocelli_mve_sum, %function
    .thumb_func
// codes r0, step r1, pixels r2, four sums r3.
ocelli_mve_sum:
    push {r4, lr}
    vldrw.u32 q0, [r3]
    wls lr, r2, 2f
1:  vldrb.s32 q1, [r0]
    add r0, r1
    vadd.i32 q0, q0, q1
    le lr, 1b
2:  vstrw.32 q0, [r3]
    pop {r4, pc}
    .size ocelli_mve_sum, . - ocelli_mve_sum
    .popsection

    .pushsection .text.ocelli_mve_dot, "ax", %progbits
    .p2align 2
    .global ocelli_mve_dot
    .type ocelli_mve_dot, %function
    .thumb_func
// sum r0, codes r1 and r2, count r3.
ocelli_mve_dot:
    push {r4, lr}
    wlstp.8 lr, r3, 2f
1:  vldrb.u8 q0, [r1], #16
    vldrb.u8 q1, [r2], #16
    vmladava.s8 r0, q0, q1
    letp lr, 1b
2:  pop {r4, pc}
    .size ocelli_mve_dot, . - ocelli_mve_dot
    .popsection
