//! Functions whose presence in a linked program means that it can panic, allocate or compute in software floats.

/// Whether a function is part of panicking; `name` is demangled.
pub fn is_panic(name: &str) -> bool {
    let last = last_segment(name);
    name.contains("core::panicking")
        || name.contains("core::panic::")
        || ["rust_begin_unwind", "rust_panic", "rust_eh_personality"].contains(&last)
        || last.starts_with("panic_")
        || (name.starts_with("core::")
            && (last.ends_with("_fail") || last.ends_with("_fail_rt") || last.ends_with("_failed")))
}

/// Whether a function belongs to a heap.
pub fn is_heap(name: &str) -> bool {
    let last = last_segment(name);
    last.starts_with("__rust_alloc")
        || last.starts_with("__rust_realloc")
        || last.starts_with("__rust_dealloc")
        || last.starts_with("__rg_")
        || last.starts_with("__rust_no_alloc_shim_is_unstable")
        || name.starts_with("alloc::")
        || name.contains("embedded_alloc")
        || ["malloc", "realloc", "free"].contains(&name)
}

/// Whether a function computes in floating point with integer instructions, or is one of libm's.
pub fn is_soft_float(name: &str) -> bool {
    let last = last_segment(name);
    name.starts_with("libm::")
        || name.contains("compiler_builtins::float")
        || name.contains("core::num::flt2dec")
        || name.contains("core::num::dec2flt")
        || last.strip_prefix("__aeabi_").is_some_and(is_aeabi_float)
        || last.strip_prefix("__").is_some_and(is_compiler_rt_float)
}

/// Run-time ABI for the Arm architecture, tables 2 to 8: `fadd`, `dcmplt`, `cdrcmple`, `i2f`, `ul2d`, `d2iz`, `h2f` …
fn is_aeabi_float(routine: &str) -> bool {
    let converts = ["2f", "2d", "2h"]
        .iter()
        .any(|suffix| routine.trim_end_matches("_alt").ends_with(suffix));
    converts
        || ["f", "d", "h2", "cf", "cd"]
            .iter()
            .any(|prefix| routine.starts_with(prefix))
}

/// GCC's names: an operation, then the modes of its operands (`sf`, `df` …) and a digit or an integer mode.
fn is_compiler_rt_float(routine: &str) -> bool {
    const OPERATIONS: [&str; 20] = [
        "add", "sub", "mul", "div", "neg", "abs", "fixuns", "fix", "floatun", "float", "extend",
        "trunc", "cmp", "unord", "eq", "ne", "lt", "le", "gt", "ge",
    ];
    const MODES: [&str; 4] = ["hf", "sf", "df", "tf"];
    if routine.starts_with("gnu_f2h")
        || routine.starts_with("gnu_h2f")
        || routine.starts_with("powi")
    {
        return true;
    }
    OPERATIONS.iter().any(|operation| {
        routine
            .strip_prefix(operation)
            .is_some_and(|modes| MODES.iter().any(|mode| modes.contains(mode)))
    })
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demangled(mangled: &str) -> String {
        format!("{:#}", rustc_demangle::demangle(mangled))
    }

    #[test]
    fn every_way_into_a_panic_is_seen() {
        for name in [
            "core::panicking::panic_fmt",
            "core::panicking::panic_bounds_check",
            "core::slice::index::slice_end_index_len_fail",
            "core::slice::index::slice_index_fail",
            "core::slice::copy_from_slice_impl::len_mismatch_fail",
            "core::result::unwrap_failed",
            "core::option::expect_failed",
            "core::str::slice_error_fail_rt",
            "core::cell::panic_already_borrowed",
            "__rustc::rust_begin_unwind",
            "rust_begin_unwind",
        ] {
            assert!(is_panic(name), "{name}");
        }
    }

    #[test]
    fn both_manglings_of_rust_are_undone() {
        assert!(is_panic(&demangled(
            "_ZN4core9panicking9panic_fmt17h0123456789abcdefE"
        )));
        assert!(is_panic(&demangled(
            "_RNvNtCs1234_4core9panicking9panic_fmt"
        )));
        assert!(is_panic(&demangled(
            "_RNvCs1234_7___rustc17rust_begin_unwind"
        )));
    }

    #[test]
    fn names_that_only_resemble_are_let_through() {
        for name in [
            "ocelli::session::Session::step",
            "ocelli_kernels::requantize::requantize",
            "core::slice::sort::heapsort",
            "HardFault_",
            "memcpy",
            "__aeabi_memcpy4",
            "__aeabi_uidivmod",
            "__aeabi_lmul",
            "__aeabi_ldivmod",
            "__aeabi_llsl",
            "__udivmoddi4",
            "__muldi3",
            "__adddi3",
        ] {
            assert!(!is_panic(name), "{name}");
            assert!(!is_soft_float(name), "{name}");
            assert!(!is_heap(name), "{name}");
        }
    }

    #[test]
    fn every_soft_float_routine_is_seen() {
        for name in [
            "__aeabi_fadd",
            "__aeabi_frsub",
            "__aeabi_dmul",
            "__aeabi_fcmplt",
            "__aeabi_cdcmple",
            "__aeabi_i2f",
            "__aeabi_ul2d",
            "__aeabi_d2iz",
            "__aeabi_f2uiz",
            "__aeabi_f2d",
            "__aeabi_h2f_alt",
            "__addsf3",
            "__mulsf3",
            "__muldf3",
            "__fixsfsi",
            "__fixunsdfdi",
            "__floatsisf",
            "__floatundidf",
            "__extendsfdf2",
            "__truncdfsf2",
            "__gtsf2",
            "__unorddf2",
            "__powisf2",
            "__gnu_h2f_ieee",
            "libm::math::expf::expf",
            "compiler_builtins::float::add::__addsf3",
            "core::num::flt2dec::strategy::grisu::format_shortest",
        ] {
            assert!(is_soft_float(name), "{name}");
        }
    }

    #[test]
    fn an_allocation_is_seen() {
        for name in [
            "__rust_alloc",
            "__rustc::__rust_alloc",
            "__rustc::__rust_no_alloc_shim_is_unstable_v2",
            "alloc::raw_vec::handle_error",
            "embedded_alloc::llff::Heap::init",
        ] {
            assert!(is_heap(name), "{name}");
        }
    }
}
