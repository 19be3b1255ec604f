// Linux calls that Glibc's Swift overlay lacks. Each returns -1 and sets errno on failure, like the call it wraps.
#pragma once
#include <stdint.h>

/// openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS: the kernel itself keeps the path inside.
int nb_open_beneath(int directory, const char *path, int flags, uint32_t mode);

/// renameat2 with RENAME_NOREPLACE; on file systems without it, link + unlink (files only).
int nb_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);

/// renameat2 with RENAME_EXCHANGE: two names of one folder change their files. EINVAL on file systems without it.
int nb_rename_exchange(int directory, const char *name, const char *other);

/// An open-file-description lock on a byte range. type: 1 exclusive, 0 unlock. Never waits: EAGAIN when it is taken.
int nb_ofd_lock(int descriptor, int type, int64_t start, int64_t length);

/// mallopt(3), M_ARENA_MAX: how many heaps of their own threads may have; the others share one. Each reserves 64 MiB.
void nb_bound_heaps(int count);

/// statfs(2): the magic number of the file system the path is on; -1 when it cannot be asked about.
int64_t nb_file_system_magic(const char *path);

/// syncfs(2): everything written to the file system of this descriptor.
int nb_syncfs(int descriptor);

/// io_setup(2): a queue for one asynchronous write at a time.
int nb_io_setup(uintptr_t *queue);

/// io_submit(2) of one write with RWF_DSYNC: written and on disk when nb_io_wait says so.
int nb_io_submit_write(uintptr_t queue, int descriptor, const void *bytes, uintptr_t count, int64_t offset);

/// io_getevents(2): waits for the queue's write, also through signals. Returns the bytes written, or -1 and its errno.
long nb_io_wait(uintptr_t queue);

/// An eventfd, non-blocking and close-on-exec.
int nb_eventfd(void);

/// poll on two descriptors for input. Returns a bit set: 1 first readable, 2 second readable; 0 on timeout.
int nb_poll2(int first, int second, int timeout_ms);

/// pipe2(2) with O_CLOEXEC, so that no child started by another thread meanwhile inherits an end.
int nb_pipe(int ends[2]);

/// posix_spawn of a new process group: standard input from /dev/null, output and errors to `output`, every other
/// descriptor closed, all signals as at birth. Of `passed` at most 8 descriptors the child gets copies as its own 3, 4, … .
/// Returns 0 or an errno.
int nb_spawn(
    int *pid, const char *program, char *const *arguments, char *const *environment, int output, const int *passed, int count);

/// The same with three descriptors of its own; `input` below 0 is /dev/null.
int nb_spawn_talking(
    int *pid, const char *program, char *const *arguments, char *const *environment, int input, int output, int errors);

/// The seccomp filter of the command box as an open file of BPF instructions, as bubblewrap takes it. ENOSYS on a processor
/// for which there is none.
int nb_seccomp_filter(void);

/// pidfd_open(2): a descriptor that is readable once that process has ended.
int nb_pidfd(int pid);

/// Takes the pages of this program's own code and constants out of the process's memory (MADV_DONTNEED on mappings that are
/// never written): what runs again is mapped again from the page cache, what only the start needed is not.
void nb_release_program_pages(void);

/// The arguments of this process as the kernel gave them; NULL past the last. Swift's own list is empty in a statically linked
/// program whose environment a preloaded library has changed before `main`.
const char *nb_argument(int index);
/// For the whole process: blocks of 128 KiB and more are mapped by themselves and unmapped when they are freed. By itself glibc raises
/// that bound to 32 MiB as soon as one such block was freed, and keeps the next ones in its heaps, where a small neighbour holds them
/// for ever. Before threads are started.
void nb_give_memory_back(void);

/// Name of the calling thread, at most 15 bytes.
int nb_set_thread_name(const char *name);

/// Flags Swift cannot import because they are macros over expressions.
int nb_o_path(void);
int nb_o_direct(void);
