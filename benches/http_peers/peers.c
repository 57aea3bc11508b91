/* The smallest servers in C that answer as the others do. They find the end of a request, and parse nothing.
 *
 *     peers epoll PORT     the system calls alone, level-triggered: what no server can do without
 *     peers libevent PORT  a bufferevent for each connection
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: peers\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
enum { ANSWER = sizeof answer - 1, BATCH = 1024 };

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void set_nodelay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* epoll */

/* Of a connection: how many bytes of "\r\n\r\n" were seen last. */
static unsigned char seen[1 << 20];

static void serve(int fd) {
    static char input[65536];
    static char output[BATCH * ANSWER];
    ssize_t count = recv(fd, input, sizeof input, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    size_t answers = 0;
    for (ssize_t i = 0; i < count; i++) {
        if (input[i] == "\r\n\r\n"[seen[fd]])
            seen[fd]++;
        else
            seen[fd] = input[i] == '\r';
        if (seen[fd] == 4) {
            seen[fd] = 0;
            if (answers < BATCH)
                memcpy(output + ANSWER * answers++, answer, ANSWER);
        }
    }
    /* A client that does not read its answers loses them: this is no server for clients. */
    if (count <= 0 || (answers && send(fd, output, ANSWER * answers, MSG_NOSIGNAL) < 0))
        close(fd);
}

static void run_epoll(int port) {
    struct sockaddr_in address = loopback(port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    set_nodelay(listener);
    check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(listener, 4096), "listen");
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[BATCH];
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
    for (;;) {
        int ready = epoll_wait(epoll, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                serve(fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                event.data.fd = fd;
                seen[fd] = 0;
                check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
            }
        }
    }
}

/* libevent */

static void received(struct bufferevent *bev, void *unused) {
    struct evbuffer *input = bufferevent_get_input(bev), *output = bufferevent_get_output(bev);
    struct evbuffer_ptr end;
    while ((end = evbuffer_search(input, "\r\n\r\n", 4, NULL)).pos >= 0) {
        evbuffer_drain(input, (size_t)end.pos + 4);
        evbuffer_add(output, answer, ANSWER);
    }
    (void)unused;
}

static void ended(struct bufferevent *bev, short what, void *unused) {
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(bev);
    (void)unused;
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                     int length, void *base) {
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, received, NULL, ended, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    set_nodelay(fd);
    (void)listener, (void)address, (void)length;
}

static void run_libevent(int port) {
    struct sockaddr_in address = loopback(port);
    struct event_base *base = event_base_new();
    unsigned flags = LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE;
    struct evconnlistener *listener = evconnlistener_new_bind(
        base, accepted, base, flags, 4096, (struct sockaddr *)&address, sizeof address);
    check(listener ? 0 : -1, "listen");
    event_base_dispatch(base);
}

int main(int count, char **arguments) {
    if (count == 3 && !strcmp(arguments[1], "epoll"))
        run_epoll(atoi(arguments[2]));
    if (count == 3 && !strcmp(arguments[1], "libevent"))
        run_libevent(atoi(arguments[2]));
    fprintf(stderr, "peers epoll|libevent PORT\n");
    return 2;
}
