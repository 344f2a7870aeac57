// One tap: r0 the channel's number, r1 the list, r2 weight, r3-r6 codes, r8-r11 sums.
.macro ocelli_v6m_tap pixels
    ldmia r1!, {r2, r3, r4, r5, r6}
    ldrsb r2, [r2, r0]
    ldrsb r3, [r3, r0]
    ldrsb r4, [r4, r0]
    ocelli_v6m_multiply_add r8, r3, r2
    ocelli_v6m_multiply_add r9, r4, r2
.if \pixels > 2
    ldrsb r5, [r5, r0]
    ldrsb r6, [r6, r0]
    ocelli_v6m_multiply_add r10, r5, r2
    ocelli_v6m_multiply_add r11, r6, r2
.endif
.endm

// Every channel walks through the list of taps. r7 is the list's end.
.macro ocelli_v6m_depthwise pixels
    ocelli_v6m_enter
1:  movs r0, #0
    mov r8, r0
    mov r9, r0
.if \pixels > 2
    mov r10, r0
    mov r11, r0
.endif
    ldr r0, [sp]
    lsrs r0, r0, #2
    ldr r1, [sp, #4]
    ldr r7, [sp, #8]
2:  ocelli_v6m_tap \pixels
    ocelli_v6m_tap \pixels
    ocelli_v6m_tap \pixels
    cmp r1, r7
    bne 2b
    mov r4, r8
    mov r6, r9
.if \pixels > 2
    mov r5, r10
    mov r7, r11
.endif
    ocelli_v6m_finish adds, \pixels
.endm

.section .text.ocelli_v6m_depthwise_4,"ax",%progbits
.balign 4
.globl ocelli_v6m_depthwise_4
.type ocelli_v6m_depthwise_4, %function
.thumb_func
ocelli_v6m_depthwise_4:
    ocelli_v6m_depthwise 4
.size ocelli_v6m_depthwise_4, . - ocelli_v6m_depthwise_4

.section .text.ocelli_v6m_depthwise_2,"ax",%progbits
.balign 4
.globl ocelli_v6m_depthwise_2
.type ocelli_v6m_depthwise_2, %function
.thumb_func
ocelli_v6m_depthwise_2:
    ocelli_v6m_depthwise 2
.size ocelli_v6m_depthwise_2, . - ocelli_v6m_depthwise_2
