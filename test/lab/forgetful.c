/*
 * forgetful FOLDER MOUNTPOINT: shows a folder as a file system that keeps what is written to a file in memory until somebody flushes
 * that file (fsync, fdatasync). Killed, it forgets what was not flushed, as a host that loses power does; processes on a killed host
 * of the lab would else leave their writes in the page cache of the machine below. Names, sizes set by truncation, modes and times
 * are passed on at once. One thread: the order of requests is the order of effects. Told to end (SIGTERM), it flushes everything.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct write {
  off_t offset;
  size_t length;
  char *bytes;
};

/* One for each inode that is open or has unflushed writes. */
struct file {
  struct file *next;
  dev_t device;
  ino_t inode;
  int fd;
  int opens;
  int named;
  size_t count, room;
  struct write *writes;
};

static struct file *files;
static int root;

/* Paths come as "/a/b"; everything is relative to the folder. */
static const char *inside(const char *path) { return path[1] == '\0' ? "." : path + 1; }

static struct file *find(const struct stat *about) {
  for (struct file *file = files; file; file = file->next)
    if (file->named && file->device == about->st_dev && file->inode == about->st_ino) return file;
  return NULL;
}

static void forget(struct file *file) {
  for (size_t each = 0; each < file->count; each++) free(file->writes[each].bytes);
  file->count = 0;
}

static void drop_when_idle(struct file *file) {
  if (file->opens > 0 || (file->named && file->count > 0)) return;
  for (struct file **at = &files; *at; at = &(*at)->next)
    if (*at == file) {
      *at = file->next;
      break;
    }
  forget(file);
  free(file->writes);
  close(file->fd);
  free(file);
}

static off_t size_of(const struct file *file, off_t size) {
  for (size_t each = 0; each < file->count; each++) {
    off_t end = file->writes[each].offset + (off_t)file->writes[each].length;
    if (end > size) size = end;
  }
  return size;
}

static int write_fully(int fd, const char *bytes, size_t length, off_t offset) {
  while (length > 0) {
    ssize_t done = pwrite(fd, bytes, length, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -errno;
    bytes += done;
    length -= (size_t)done;
    offset += done;
  }
  return 0;
}

static int flush_out(struct file *file) {
  for (size_t each = 0; each < file->count; each++) {
    const struct write *write = &file->writes[each];
    int failed = write_fully(file->fd, write->bytes, write->length, write->offset);
    if (failed) return failed;
  }
  forget(file);
  return fdatasync(file->fd) < 0 ? -errno : 0;
}

static struct file *opened(const struct fuse_file_info *info) { return (struct file *)(uintptr_t)info->fh; }

static int open_as(const char *path, int flags, mode_t mode, struct fuse_file_info *info) {
  /* Always both ways: reads may have to be merged, and writes are done later. */
  int fd = openat(root, inside(path), (flags & ~(O_DIRECT | O_APPEND | O_ACCMODE)) | O_RDWR | O_CLOEXEC, mode);
  if (fd < 0) return -errno;
  struct stat about;
  if (fstat(fd, &about) < 0) {
    int failed = -errno;
    close(fd);
    return failed;
  }
  struct file *file = find(&about);
  if (file) {
    close(fd);
    if (flags & O_TRUNC) forget(file);
  } else {
    file = calloc(1, sizeof *file);
    if (!file) {
      close(fd);
      return -ENOMEM;
    }
    *file = (struct file){.next = files, .device = about.st_dev, .inode = about.st_ino, .fd = fd, .named = 1};
    files = file;
  }
  file->opens++;
  info->fh = (uint64_t)(uintptr_t)file;
  /* Nothing of it in the kernel's page cache: another host may change the file. */
  info->direct_io = 1;
  return 0;
}

static int do_open(const char *path, struct fuse_file_info *info) { return open_as(path, info->flags, 0, info); }

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info) {
  return open_as(path, info->flags | O_CREAT, mode, info);
}

static int do_release(const char *path, struct fuse_file_info *info) {
  (void)path;
  struct file *file = opened(info);
  file->opens--;
  drop_when_idle(file);
  return 0;
}

static int do_read(const char *path, char *buffer, size_t length, off_t offset, struct fuse_file_info *info) {
  (void)path;
  struct file *file = opened(info);
  struct stat about;
  if (fstat(file->fd, &about) < 0) return -errno;
  off_t size = size_of(file, about.st_size);
  if (offset >= size) return 0;
  if ((off_t)length > size - offset) length = (size_t)(size - offset);
  memset(buffer, 0, length);
  for (size_t got = 0; got < length;) {
    ssize_t done = pread(file->fd, buffer + got, length - got, offset + (off_t)got);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -errno;
    if (done == 0) break;
    got += (size_t)done;
  }
  for (size_t each = 0; each < file->count; each++) {
    const struct write *write = &file->writes[each];
    off_t from = write->offset > offset ? write->offset : offset;
    off_t to = write->offset + (off_t)write->length;
    if (to > offset + (off_t)length) to = offset + (off_t)length;
    if (from < to) memcpy(buffer + (from - offset), write->bytes + (from - write->offset), (size_t)(to - from));
  }
  return (int)length;
}

static int do_write(const char *path, const char *bytes, size_t length, off_t offset, struct fuse_file_info *info) {
  (void)path;
  struct file *file = opened(info);
  if (info->flags & O_APPEND) {
    struct stat about;
    if (fstat(file->fd, &about) < 0) return -errno;
    offset = size_of(file, about.st_size);
  }
  if (file->count == file->room) {
    size_t room = file->room ? file->room * 2 : 16;
    struct write *writes = realloc(file->writes, room * sizeof *writes);
    if (!writes) return -ENOMEM;
    file->writes = writes;
    file->room = room;
  }
  char *copy = malloc(length ? length : 1);
  if (!copy) return -ENOMEM;
  memcpy(copy, bytes, length);
  file->writes[file->count++] = (struct write){offset, length, copy};
  return (int)length;
}

static int do_fsync(const char *path, int data_only, struct fuse_file_info *info) {
  (void)path;
  (void)data_only;
  return flush_out(opened(info));
}

static int do_getattr(const char *path, struct stat *about, struct fuse_file_info *info) {
  if (info) {
    if (fstat(opened(info)->fd, about) < 0) return -errno;
    about->st_size = size_of(opened(info), about->st_size);
    return 0;
  }
  if (fstatat(root, inside(path), about, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  struct file *file = S_ISREG(about->st_mode) ? find(about) : NULL;
  if (file) about->st_size = size_of(file, about->st_size);
  return 0;
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *info) {
  struct stat about;
  struct file *file = info ? opened(info) : NULL;
  if (!file && fstatat(root, inside(path), &about, AT_SYMLINK_NOFOLLOW) == 0) file = find(&about);
  if (file) {
    int failed = flush_out(file);
    if (failed) return failed;
    return ftruncate(file->fd, size) < 0 ? -errno : 0;
  }
  int fd = openat(root, inside(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int failed = ftruncate(fd, size) < 0 ? -errno : 0;
  close(fd);
  return failed;
}

/* The last name goes: what is unflushed belongs to nothing that another process could open, and the inode's number may be used anew. */
static void about_to_go(const char *path) {
  struct stat about;
  if (fstatat(root, inside(path), &about, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(about.st_mode) || about.st_nlink > 1)
    return;
  struct file *file = find(&about);
  if (!file) return;
  file->named = 0;
  drop_when_idle(file);
}

static int do_unlink(const char *path) {
  about_to_go(path);
  return unlinkat(root, inside(path), 0) < 0 ? -errno : 0;
}

static int do_rename(const char *from, const char *to, unsigned int flags) {
  if (flags == 0) about_to_go(to);
  return renameat2(root, inside(from), root, inside(to), flags) < 0 ? -errno : 0;
}

static int do_mkdir(const char *path, mode_t mode) { return mkdirat(root, inside(path), mode) < 0 ? -errno : 0; }

static int do_rmdir(const char *path) { return unlinkat(root, inside(path), AT_REMOVEDIR) < 0 ? -errno : 0; }

static int do_link(const char *from, const char *to) {
  return linkat(root, inside(from), root, inside(to), 0) < 0 ? -errno : 0;
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *info) {
  (void)info;
  return fchmodat(root, inside(path), mode, 0) < 0 ? -errno : 0;
}

static int do_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info) {
  (void)info;
  return fchownat(root, inside(path), user, group, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int do_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info) {
  (void)info;
  return utimensat(root, inside(path), times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int do_statfs(const char *path, struct statvfs *about) {
  (void)path;
  return fstatvfs(root, about) < 0 ? -errno : 0;
}

static int do_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
                      enum fuse_readdir_flags flags) {
  (void)offset;
  (void)info;
  (void)flags;
  int fd = openat(root, inside(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  DIR *folder = fdopendir(fd);
  if (!folder) {
    close(fd);
    return -ENOMEM;
  }
  for (struct dirent *entry; (entry = readdir(folder));) fill(buffer, entry->d_name, NULL, 0, 0);
  closedir(folder);
  return 0;
}

static void *do_init(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  config->hard_remove = 1;
  return NULL;
}

static void do_destroy(void *unused) {
  (void)unused;
  for (struct file *file = files; file; file = file->next)
    if (file->named) flush_out(file);
}

static const struct fuse_operations operations = {
    .init = do_init,
    .destroy = do_destroy,
    .getattr = do_getattr,
    .open = do_open,
    .create = do_create,
    .release = do_release,
    .read = do_read,
    .write = do_write,
    .fsync = do_fsync,
    .truncate = do_truncate,
    .unlink = do_unlink,
    .rename = do_rename,
    .mkdir = do_mkdir,
    .rmdir = do_rmdir,
    .link = do_link,
    .chmod = do_chmod,
    .chown = do_chown,
    .utimens = do_utimens,
    .statfs = do_statfs,
    .readdir = do_readdir,
};

int main(int count, char *arguments[]) {
  if (count != 3) {
    fprintf(stderr, "usage: forgetful FOLDER MOUNTPOINT\n");
    return 2;
  }
  root = open(arguments[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) {
    perror(arguments[1]);
    return 1;
  }
  umask(0);
  char *options[] = {arguments[0], "-f", "-s", "-o", "allow_other,default_permissions,fsname=forgetful", arguments[2], NULL};
  return fuse_main(6, options, &operations, NULL);
}
