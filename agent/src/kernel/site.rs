//! The cheapest instruction to probe in a function.
//!
//! A uprobe on an ordinary instruction costs two traps: the breakpoint, and a single step of the displaced
//! instruction. On jumps, calls, pushes and nops the kernel does without the second
//! (arch/x86/kernel/uprobes.c: branch_setup_xol_ops, push_setup_xol_ops). So the probe goes on the first such
//! instruction of the function's straight-line beginning, as long as the argument registers are untouched there.

use iced_x86::{
    Code, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, Register,
};

/// How far to look, in bytes.
pub(super) const WINDOW: usize = 64;
/// Registers of the first four integer arguments (System V ABI, 3.2.3).
const ARGUMENTS: [Register; 4] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX];

/// Offset from the entry of the instruction to probe, for a function of `arguments` arguments. 0 (the entry itself)
/// when nothing cheaper is safe.
pub(super) fn entry_site(code: &[u8], arguments: usize) -> u64 {
    let code = &code[..code.len().min(WINDOW)];
    let mut info = InstructionInfoFactory::new();
    let mut instruction = Instruction::default();
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return 0;
        }
        if emulated(&instruction) {
            return instruction.ip();
        }
        // Anything that may go elsewhere ends the straight line (an emulated branch was taken above).
        if instruction.flow_control() != iced_x86::FlowControl::Next {
            return 0;
        }
        let touches = info.info(&instruction).used_registers().iter().any(|used| {
            writes(used.access()) && ARGUMENTS[..arguments.min(4)].contains(&used.register().full_register())
        });
        if touches {
            return 0;
        }
    }
    0
}

/// Whether the beginning of a function at `entry` calls or jumps to `target`.
pub(super) fn branches_to(code: &[u8], entry: u64, target: u64) -> bool {
    let code = &code[..code.len().min(WINDOW)];
    Decoder::with_ip(64, code, entry, DecoderOptions::NONE)
        .into_iter()
        .take_while(|i| !i.is_invalid() && i.flow_control() != iced_x86::FlowControl::Return)
        .any(|i| (i.is_jmp_short_or_near() || i.is_call_near()) && i.near_branch_target() == target)
}

fn writes(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

/// Whether the kernel executes this instruction itself.
fn emulated(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        // push of a general register; with an operand-size prefix it is single-stepped.
        Mnemonic::Push => matches!(instruction.code(), Code::Push_r64),
        // 0x90, and the long forms 0F 1F; not ENDBR64 and PAUSE, which share their space.
        Mnemonic::Nop => true,
        Mnemonic::Jmp | Mnemonic::Call => instruction.is_jmp_short_or_near() || instruction.is_call_near(),
        _ => instruction.is_jcc_short_or_near(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &[u8], arguments: usize, expected: u64) {
        assert_eq!(entry_site(code, arguments), expected, "{code:02x?}");
    }

    #[test]
    fn wrappers_are_seen() {
        // mov r8,rcx; xor ecx,ecx; jmp +0x20
        let code = b"\x49\x89\xc8\x31\xc9\xeb\x20";
        assert!(branches_to(code, 0x1000, 0x1027));
        assert!(!branches_to(code, 0x1000, 0x1028));
        assert!(!branches_to(b"\xc3\xeb\x20", 0, 0x23), "behind the return");
    }

    #[test]
    fn sites() {
        // Debian's libssl 3.0 SSL_write: sub rsp,18; mov rax,fs:28; mov [rsp+8],rax; xor eax,eax; test edx,edx; js
        let ssl_write = b"\x48\x83\xec\x18\x64\x48\x8b\x04\x25\x28\x00\x00\x00\x48\x89\x44\x24\x08\x31\xc0\x85\xd2\x78\x30";
        check(ssl_write, 3, 0x16);
        // endbr64; push rbp
        check(b"\xf3\x0f\x1e\xfa\x55\x48\x89\xe5", 3, 4);
        // push r12 at the entry itself
        check(b"\x41\x54\x55", 3, 0);
        // mov rdi,rax before the push: the first argument is gone
        check(b"\x48\x89\xc7\x55", 3, 0);
        // mov ecx,edx writes the fourth argument register: harmless with three arguments, not with four
        check(b"\x89\xd1\x55", 3, 2);
        check(b"\x89\xd1\x55", 4, 0);
        // ret before anything cheap
        check(b"\x31\xc0\xc3\x55", 3, 0);
        // jmp [rip+x] is not emulated
        check(b"\xff\x25\x00\x00\x00\x00\x55", 3, 0);
        check(b"", 3, 0);
        check(b"\x0f", 3, 0);
    }
}
