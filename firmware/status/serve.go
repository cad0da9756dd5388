package status

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const (
	maxRequest = 8 << 10         // octets of request line and headers
	patience   = 5 * time.Second // for one request and its answer
	atOnce     = 8               // connections; more wait to be accepted
)

// Serve answers requests for the page and the metrics on l until ctx ends, and
// closes l. report may be called by several goroutines. A panic in one of them
// becomes a panic of Serve, where the caller can contain it.
func Serve(ctx context.Context, l net.Listener, report func() *Report) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	var pending sync.WaitGroup
	defer pending.Wait()
	slots := make(chan struct{}, atOnce)
	crashed := make(chan string, atOnce)
	for {
		slots <- struct{}{}
		conn, err := l.Accept()
		if err != nil {
			select {
			case why := <-crashed:
				panic(why)
			case <-ctx.Done():
				return ctx.Err()
			default:
				return fmt.Errorf("accept on %v: %w", l.Addr(), err)
			}
		}
		pending.Go(func() {
			defer func() { <-slots }()
			if crash := contain(ctx, conn, report); crash != "" {
				crashed <- crash
				l.Close()
			}
		})
	}
}

// contain has a request answered, and returns what panicked meanwhile.
func contain(ctx context.Context, conn net.Conn, report func() *Report) (crash string) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	defer func() {
		if p := recover(); p != nil {
			crash = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	answer(conn, report)
	return ""
}

// answer reads one request and answers it.
func answer(conn net.Conn, report func() *Report) {
	conn.SetDeadline(time.Now().Add(patience))
	method, target, err := readRequest(conn)
	res := respond(method, target, err, report)
	if method == "HEAD" {
		res.body = nil
	}
	io.WriteString(conn, res.head)
	conn.Write(res.body)
}

type response struct {
	head string
	body []byte
}

func respond(method, target string, err error, report func() *Report) response {
	path, _, _ := strings.Cut(target, "?")
	switch {
	case err != nil:
		return plain("400 Bad Request", err.Error())
	case method != "GET" && method != "HEAD":
		return plain("405 Method Not Allowed", "this page can only be read")
	case path == "/":
		return newResponse("200 OK", "text/html; charset=utf-8", Page(report(), time.Now()))
	case path == "/devices":
		return newResponse("200 OK", "text/html; charset=utf-8", DevicesPage(report(), time.Now()))
	case path == "/status.json":
		return newResponse("200 OK", "application/json", JSON(report(), time.Now()))
	case path == "/metrics":
		return newResponse("200 OK", "text/plain; version=0.0.4; charset=utf-8", Metrics(report(), time.Now()))
	}
	return plain("404 Not Found", "there are only /, /devices, /status.json and /metrics here")
}

func plain(status, text string) response {
	return newResponse(status, "text/plain; charset=utf-8", []byte(text+"\n"))
}

func newResponse(status, contentType string, body []byte) response {
	extra := ""
	if strings.HasPrefix(status, "405") {
		extra = "Allow: GET, HEAD\r\n"
	}
	return response{fmt.Sprintf("HTTP/1.0 %s\r\n"+
		"Content-Type: %s\r\n"+
		"Content-Length: %d\r\n"+
		"Cache-Control: no-store\r\n"+
		"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"+
		"X-Content-Type-Options: nosniff\r\n"+
		"%s"+
		"Connection: close\r\n\r\n", status, contentType, len(body), extra), body}
}

// readRequest reads up to the empty line after the headers. Of these it looks at
// Host only: it has to be an address. A page on the Internet can have its own
// name lead to the router, and then read what the router says; the router has
// no name.
func readRequest(r io.Reader) (method, target string, err error) {
	in := bufio.NewReader(io.LimitReader(r, maxRequest))
	line, err := in.ReadString('\n')
	if err != nil {
		return "", "", errors.New("no request line")
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || !strings.HasPrefix(fields[2], "HTTP/") {
		return "", "", errors.New("the request line is not METHOD TARGET HTTP/x.y")
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fields[0], "", fmt.Errorf("the headers do not end within %d octets", maxRequest)
		}
		if strings.TrimRight(line, "\r\n") == "" {
			return fields[0], fields[1], nil
		}
		if name, host, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Host") && !isAddress(strings.TrimSpace(host)) {
			return fields[0], "", errors.New("ask for the page by the router's address, such as http://192.168.1.1/")
		}
	}
}

// isAddress reports whether host, with a port or without, is an IP address, or
// this very machine.
func isAddress(host string) bool {
	if name, _, _ := strings.Cut(host, ":"); name == "localhost" {
		return true
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
