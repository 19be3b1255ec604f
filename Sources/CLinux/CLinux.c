#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/aio_abi.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static int argument_count;
static char **arguments;

/* glibc hands these to every initializer of the program, which run after those of preloaded libraries. */
__attribute__((constructor)) static void keep_arguments(int count, char **vector) {
    argument_count = count;
    arguments = vector;
}

const char *nb_argument(int index) {
    return index >= 0 && index < argument_count && arguments ? arguments[index] : NULL;
}

int nb_open_beneath(int directory, const char *path, int flags, uint32_t mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    /* RESOLVE_NO_SYMLINKS refuses a link with ELOOP. Beside O_NOFOLLOW and O_DIRECTORY the kernel would answer ENOTDIR, as for
       a file. */
    how.flags = (uint64_t)((flags & ~O_NOFOLLOW) | O_CLOEXEC);
    how.mode = (flags & O_CREAT) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int nb_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to) {
    int result = renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
    if (linkat(from_directory, from, to_directory, to, 0) != 0) return -1;
    return unlinkat(from_directory, from, 0);
}

int nb_rename_exchange(int directory, const char *name, const char *other) {
    return renameat2(directory, name, directory, other, RENAME_EXCHANGE);
}

int nb_ofd_lock(int descriptor, int type, int64_t start, int64_t length) {
    struct flock range;
    memset(&range, 0, sizeof range);
    range.l_type = type ? F_WRLCK : F_UNLCK;
    range.l_whence = SEEK_SET;
    range.l_start = start;
    range.l_len = length;
    return fcntl(descriptor, F_OFD_SETLK, &range);
}

int64_t nb_file_system_magic(const char *path) {
    struct statfs facts;
    return statfs(path, &facts) == 0 ? (int64_t)facts.f_type : -1;
}

int nb_syncfs(int descriptor) { return syncfs(descriptor); }

int nb_io_setup(uintptr_t *queue) {
    aio_context_t made = 0;
    if (syscall(SYS_io_setup, 1, &made) != 0) return -1;
    *queue = made;
    return 0;
}

int nb_io_submit_write(uintptr_t queue, int descriptor, const void *bytes, uintptr_t count, int64_t offset) {
    struct iocb one;
    memset(&one, 0, sizeof one);
    one.aio_lio_opcode = IOCB_CMD_PWRITE;
    one.aio_fildes = (uint32_t)descriptor;
    one.aio_buf = (uintptr_t)bytes;
    one.aio_nbytes = count;
    one.aio_offset = offset;
    one.aio_rw_flags = RWF_DSYNC;
    struct iocb *list[1] = {&one};
    // The kernel copies what it needs before the call returns.
    return syscall(SYS_io_submit, queue, 1, list) == 1 ? 0 : -1;
}

long nb_io_wait(uintptr_t queue) {
    struct io_event event;
    long count;
    do {
        count = syscall(SYS_io_getevents, queue, 1, 1, &event, NULL);
    } while (count == 0 || (count < 0 && errno == EINTR));
    if (count < 0) return -1;
    if (event.res >= 0) return (long)event.res;
    // The event is gone: waiting again would wait for ever.
    errno = event.res == -EINTR ? EIO : (int)-event.res;
    return -1;
}

int nb_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int nb_poll2(int first, int second, int timeout_ms) {
    struct pollfd watched[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
    int count = poll(watched, 2, timeout_ms);
    if (count < 0) return -1;
    return (watched[0].revents ? 1 : 0) | (watched[1].revents ? 2 : 0);
}

int nb_pidfd(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

static int release_pages(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    (void)data;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int index = 0; index < info->dlpi_phnum; index++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[index];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) != 0) continue;
        uintptr_t start = (info->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + part->p_vaddr + part->p_filesz + page - 1) & ~(page - 1);
        // Advice: where the kernel does not take it nothing is lost.
        (void)madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 1;  // the program itself comes first; libraries stay as they are
}

void nb_release_program_pages(void) { (void)dl_iterate_phdr(release_pages, NULL); }

void nb_give_memory_back(void) {
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
#endif
}

int nb_set_thread_name(const char *name) { return prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }

int nb_o_path(void) { return O_PATH; }

int nb_o_direct(void) { return O_DIRECT; }

static int spawn(
    int *pid, const char *program, char *const *arguments, char *const *environment, int input, int output, int errors,
    const int *passed, int count) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t child = 0;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure) return failure;
    failure = posix_spawnattr_init(&attributes);
    if (failure) {
        posix_spawn_file_actions_destroy(&actions);
        return failure;
    }
    sigemptyset(&none);
    sigfillset(&all);
    if (!failure && input < 0) failure = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!failure && input >= 0) failure = posix_spawn_file_actions_adddup2(&actions, input, 0);
    if (!failure) failure = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (!failure) failure = posix_spawn_file_actions_adddup2(&actions, errors, 2);
    for (int index = 0; index < count && !failure; index++)
        failure = posix_spawn_file_actions_adddup2(&actions, passed[index], 3 + index);
    if (!failure) failure = posix_spawn_file_actions_addclosefrom_np(&actions, 3 + count);
    if (!failure)
        failure = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failure) failure = posix_spawnattr_setpgroup(&attributes, 0);
    if (!failure) failure = posix_spawnattr_setsigmask(&attributes, &none);
    if (!failure) failure = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!failure) failure = posix_spawn(&child, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    *pid = child;
    return failure;
}

void nb_bound_heaps(int count) { mallopt(M_ARENA_MAX, count); }
int nb_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int nb_spawn_talking(
    int *pid, const char *program, char *const *arguments, char *const *environment, int input, int output, int errors) {
    return spawn(pid, program, arguments, environment, input, output, errors, NULL, 0);
}

enum { most_passed = 8 };

int nb_spawn(
    int *pid, const char *program, char *const *arguments, char *const *environment, int output, const int *passed, int count) {
    int copies[most_passed], made = 0, failure = 0;
    if (count > most_passed) return E2BIG;
    // Above the numbers they get, so that none is overwritten before its turn.
    while (made < count && !failure) {
        copies[made] = fcntl(passed[made], F_DUPFD_CLOEXEC, 3 + most_passed);
        if (copies[made] < 0) failure = errno;
        else made++;
    }
    if (!failure) failure = spawn(pid, program, arguments, environment, -1, output, output, copies, count);
    while (made > 0) close(copies[--made]);
    return failure;
}
