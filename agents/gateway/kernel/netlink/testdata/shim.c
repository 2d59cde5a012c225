// Writes every netlink message that a program sends (>) and receives (<) to the file $NLCAP, in hexadecimal.
// gcc -shared -fPIC -o shim.so shim.c -ldl; LD_PRELOAD=./shim.so NLCAP=out ip route show
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void dump(const char *direction, const unsigned char *bytes, ssize_t length) {
  const char *path = getenv("NLCAP");
  if (!path || length <= 0) return;
  FILE *file = fopen(path, "a");
  fprintf(file, "%s ", direction);
  for (ssize_t i = 0; i < length; i++) fprintf(file, "%02x", bytes[i]);
  fputc('\n', file);
  fclose(file);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  ssize_t (*real)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
  for (size_t i = 0; i < message->msg_iovlen; i++) dump(">", message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
  return real(fd, message, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
  ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
  dump(">", bytes, length);
  return real(fd, bytes, length, flags, to, size);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
  dump(">", bytes, length);
  return real(fd, bytes, length, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  ssize_t (*real)(int, struct msghdr *, int) = dlsym(RTLD_NEXT, "recvmsg");
  ssize_t length = real(fd, message, flags);
  if (!(flags & MSG_PEEK)) dump("<", message->msg_iov[0].iov_base, length);
  return length;
}

ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from, socklen_t *from_size) {
  ssize_t (*real)(int, void *, size_t, int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "recvfrom");
  ssize_t length = real(fd, bytes, size, flags, from, from_size);
  if (!(flags & MSG_PEEK)) dump("<", bytes, length);
  return length;
}
