// The filter of system calls for commands of the box: what they do not need and what the kernel has often been attacked through.
// New namespaces are refused here, so nothing in the box gets capabilities, a mount of its own or memory without a bound.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NB_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NB_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifndef NB_ARCHITECTURE

int nb_seccomp_filter(void) {
    errno = ENOSYS;
    return -1;
}

#else

enum { most_instructions = 512, x32_bit = 0x40000000 };

struct refusal {
    int number, code;
};

// EPERM: as it is for a program without the right. ENOSYS: programs then take the older call.
static const struct refusal refusals[] = {
    {SYS_clone3, ENOSYS},  // Its flags are in memory, where no filter can look.
    {425 /* io_uring_setup */, ENOSYS},
    {426 /* io_uring_enter */, ENOSYS},
    {427 /* io_uring_register */, ENOSYS},
    {SYS_setns, EPERM},
    {SYS_mount, EPERM},
    {SYS_umount2, EPERM},
    {SYS_pivot_root, EPERM},
    {SYS_chroot, EPERM},
    {428 /* open_tree */, EPERM},
    {429 /* move_mount */, EPERM},
    {430 /* fsopen */, EPERM},
    {431 /* fsconfig */, EPERM},
    {432 /* fsmount */, EPERM},
    {433 /* fspick */, EPERM},
    {442 /* mount_setattr */, EPERM},
    {467 /* open_tree_attr */, EPERM},
    {SYS_bpf, EPERM},
    {SYS_perf_event_open, EPERM},
    {SYS_keyctl, EPERM},
    {SYS_add_key, EPERM},
    {SYS_request_key, EPERM},
    {SYS_userfaultfd, EPERM},
    {SYS_ptrace, EPERM},
    {SYS_process_vm_readv, EPERM},
    {SYS_process_vm_writev, EPERM},
    {SYS_kcmp, EPERM},
    {438 /* pidfd_getfd */, EPERM},
    {447 /* memfd_secret */, EPERM},
    {SYS_open_by_handle_at, EPERM},
    {SYS_name_to_handle_at, EPERM},
    {SYS_fanotify_init, EPERM},
    {SYS_quotactl, EPERM},
    {443 /* quotactl_fd */, EPERM},
    {SYS_acct, EPERM},
    {SYS_swapon, EPERM},
    {SYS_swapoff, EPERM},
    {SYS_reboot, EPERM},
    {SYS_syslog, EPERM},
    {SYS_vhangup, EPERM},
    {SYS_kexec_load, EPERM},
    {SYS_kexec_file_load, EPERM},
    {SYS_init_module, EPERM},
    {SYS_finit_module, EPERM},
    {SYS_delete_module, EPERM},
    {SYS_lookup_dcookie, EPERM},
    {SYS_nfsservctl, EPERM},
#ifdef SYS_modify_ldt
    {SYS_modify_ldt, EPERM},
#endif
#ifdef SYS_iopl
    {SYS_iopl, EPERM},
    {SYS_ioperm, EPERM},
#endif
};

struct program {
    struct sock_filter code[most_instructions];
    unsigned short count;
};

static void add(struct program *program, struct sock_filter one) {
    if (program->count < most_instructions) program->code[program->count] = one;
    program->count++;
}

static void load(struct program *program, unsigned offset) {
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/// The low half of an argument: both architectures are little-endian.
static void load_argument(struct program *program, int index) {
    load(program, (unsigned)(offsetof(struct seccomp_data, args) + 8 * (unsigned)index));
}

/// Goes on with the next instruction where the loaded value is `value`, otherwise past `skipped` of them.
static void unless_equal(struct program *program, unsigned value, unsigned char skipped) {
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped));
}

static void end(struct program *program, unsigned action) {
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void refuse(struct program *program, int code) { end(program, SECCOMP_RET_ERRNO | (unsigned)code); }

/// Refuses a call with one of these bits in an argument; allows it otherwise.
static void refuse_bits(struct program *program, int number, int argument, unsigned bits) {
    unless_equal(program, (unsigned)number, 4);
    load_argument(program, argument);
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    refuse(program, EPERM);
    end(program, SECCOMP_RET_ALLOW);
}

/// Decides a call by one argument: the listed values get `listed`, all others `others`.
static void decide(
    struct program *program, int number, int argument, const unsigned *values, int count, unsigned listed, unsigned others) {
    unless_equal(program, (unsigned)number, (unsigned char)(2 + 2 * count));
    load_argument(program, argument);
    for (int index = 0; index < count; index++) {
        unless_equal(program, values[index], 1);
        end(program, listed);
    }
    end(program, others);
}

static void build(struct program *program) {
    const unsigned spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                            CLONE_NEWCGROUP;
    load(program, offsetof(struct seccomp_data, arch));
    unless_equal(program, NB_ARCHITECTURE, 1);
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
    end(program, SECCOMP_RET_KILL_PROCESS);
    load(program, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, x32_bit, 0, 1));
    refuse(program, ENOSYS);
#endif
    for (unsigned index = 0; index < sizeof refusals / sizeof refusals[0]; index++) {
        unless_equal(program, (unsigned)refusals[index].number, 1);
        refuse(program, refusals[index].code);
    }
    refuse_bits(program, SYS_clone, 0, spaces);
    // The bit of a time namespace is one of the exit signal's in clone.
    refuse_bits(program, SYS_unshare, 0, spaces | 0x80);
    // Typing into a terminal that is shared with others.
    const unsigned typing[] = {TIOCSTI, 0x541C /* TIOCLINUX */};
    decide(program, SYS_ioctl, 1, typing, 2, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
    // The network namespace bounds these; other families may reach the machine itself (AF_VSOCK) or rare kernel code.
    const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    decide(program, SYS_socket, 0, families, 4, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
    // A lease makes nanobot's own opening of a file wait until the command gives it back.
    const unsigned leases[] = {F_SETLEASE, F_NOTIFY};
    decide(program, SYS_fcntl, 1, leases, 2, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
    const unsigned personalities[] = {0, 0xFFFFFFFF, 8, 0x20000, 0x20008};
    decide(program, SYS_personality, 0, personalities, 5, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM);
    end(program, SECCOMP_RET_ALLOW);
}

int nb_seccomp_filter(void) {
    struct program program = {.count = 0};
    build(&program);
    if (program.count > most_instructions) {
        errno = E2BIG;
        return -1;
    }
    int descriptor = memfd_create("filter", MFD_CLOEXEC);
    if (descriptor < 0) return -1;
    size_t size = program.count * sizeof program.code[0];
    if (write(descriptor, program.code, size) == (ssize_t)size && lseek(descriptor, 0, SEEK_SET) == 0) return descriptor;
    close(descriptor);
    errno = EIO;
    return -1;
}

#endif
