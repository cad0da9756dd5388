package status

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadRequest(t *testing.T) {
	for _, tc := range []struct {
		name, in       string
		method, target string
		err            string
	}{
		{"plain", "GET / HTTP/1.0\r\n\r\n", "GET", "/", ""},
		{"with headers", "GET / HTTP/1.1\r\nHost: 192.168.1.1\r\nAccept: */*\r\n\r\n", "GET", "/", ""},
		{"a name of somebody else's", "GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n", "GET", "", "by the router's address"},
		{"with a port", "GET / HTTP/1.1\r\nHost: 192.168.1.1:8080\r\n\r\n", "GET", "/", ""},
		{"through a tunnel", "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", "GET", "/", ""},
		{"bare line feeds", "GET /x HTTP/1.1\nHost: 192.168.1.1\n\n", "GET", "/x", ""},
		{"a body is not read", "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", "POST", "/", ""},
		{"nothing", "", "", "", "no request line"},
		{"cut in the request line", "GET / HT", "", "", "no request line"},
		{"cut in the headers", "GET / HTTP/1.0\r\nHost: ro", "GET", "", "headers do not end"},
		{"HTTP/0.9", "GET /\r\n\r\n", "", "", "METHOD TARGET"},
		{"four words", "GET / / HTTP/1.0\r\n\r\n", "", "", "METHOD TARGET"},
		{"another protocol", "SSH-2.0-OpenSSH_9.9 a b\r\n", "", "", "METHOD TARGET"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\n", "", "", "METHOD TARGET"},
		{"just short enough", "GET / HTTP/1.0\r\nX: " + strings.Repeat("x", maxRequest-23) + "\r\n\r\n", "GET", "/", ""},
		{"one octet too long", "GET / HTTP/1.0\r\nX: " + strings.Repeat("x", maxRequest-22) + "\r\n\r\n", "GET", "", "headers do not end"},
		{"an endless line", strings.Repeat("x", 2*maxRequest), "", "", "no request line"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			method, target, err := readRequest(strings.NewReader(tc.in))
			if method != tc.method || target != tc.target {
				t.Errorf("readRequest = %q, %q; want %q, %q", method, target, tc.method, tc.target)
			}
			switch {
			case tc.err == "" && err != nil:
				t.Errorf("readRequest = %v; want no error", err)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("readRequest = %v; want an error with %q", err, tc.err)
			}
		})
	}
}

// A script is a connection that says one thing and listens.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s *script) SetDeadline(time.Time) error { return nil }

// ask returns the answer to a request, checked to be one and no more.
func ask(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	s := &script{in: strings.NewReader(request)}
	answer(s, example)
	method, _, _ := readRequest(strings.NewReader(request))
	out := bufio.NewReader(&s.out)
	res, err := http.ReadResponse(out, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q is answered by what is no response: %v", request, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%q: body: %v", request, err)
	}
	if out.Buffered() > 0 {
		t.Fatalf("%q: %d octets after the response", request, out.Buffered())
	}
	return res, string(body)
}

func TestAnswer(t *testing.T) {
	for _, tc := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET / HTTP/1.1", 200, "<!doctype html>"},
		{"GET /?refresh=1 HTTP/1.1", 200, "<!doctype html>"},
		{"HEAD / HTTP/1.1", 200, ""},
		{"GET /metrics HTTP/1.1", 200, "# HELP leasehold_build_info "},
		{"GET /metrics?name[]=x HTTP/1.1", 200, "# HELP leasehold_build_info "},
		{"HEAD /metrics HTTP/1.1", 200, ""},
		{"GET /devices HTTP/1.1", 200, "<!doctype html>"},
		{"GET /status.json HTTP/1.1", 200, "{\n  \"version\""},
		{"POST /metrics HTTP/1.1", 405, "can only be read"},
		{"GET /metrics/ HTTP/1.1", 404, "only /, /devices, /status.json and /metrics"},
		{"GET /favicon.ico HTTP/1.1", 404, "only /, /devices, /status.json and /metrics"},
		{"HEAD /favicon.ico HTTP/1.1", 404, ""},
		{"GET /../etc/passwd HTTP/1.1", 404, "only /, /devices, /status.json and /metrics"},
		{"POST / HTTP/1.1", 405, "can only be read"},
		{"DELETE /x HTTP/1.1", 405, "can only be read"},
		{"get / HTTP/1.1", 405, "can only be read"},
		{"GET /", 400, "request line"},
		{"nonsense", 400, "request line"},
	} {
		res, body := ask(t, tc.request+"\r\nHost: 192.168.1.1\r\n\r\n")
		if res.StatusCode != tc.status || !strings.Contains(body, tc.body) {
			t.Errorf("%s = %d %.40q; want %d with %q", tc.request, res.StatusCode, body, tc.status, tc.body)
		}
		if tc.body == "" && body != "" {
			t.Errorf("%s has a body of %d octets; want none", tc.request, len(body))
		}
		if got, want := res.Header.Get("Allow"), map[bool]string{true: "GET, HEAD"}[tc.status == 405]; got != want {
			t.Errorf("%s: Allow = %q; want %q", tc.request, got, want)
		}
	}
}

func TestHeadHasTheLengthOfGet(t *testing.T) {
	get, body := ask(t, "GET / HTTP/1.0\r\n\r\n")
	head, _ := ask(t, "HEAD / HTTP/1.0\r\n\r\n")
	if get.ContentLength != int64(len(body)) {
		t.Errorf("Content-Length of GET = %d; want %d", get.ContentLength, len(body))
	}
	if d := head.ContentLength - get.ContentLength; d < -20 || d > 20 { // the times left differ
		t.Errorf("Content-Length of HEAD = %d; want %d", head.ContentLength, get.ContentLength)
	}
}

func TestAnswerForbidsScripts(t *testing.T) {
	res, _ := ask(t, "GET / HTTP/1.0\r\n\r\n")
	for header, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
		"X-Content-Type-Options":  "nosniff",
		"Content-Type":            "text/html; charset=utf-8",
		"Cache-Control":           "no-store",
		"Connection":              "close",
	} {
		if got := res.Header.Get(header); got != want {
			t.Errorf("%s: %s; want %s", header, got, want)
		}
	}
}

func TestMetricsSayTheirFormat(t *testing.T) {
	res, _ := ask(t, "GET /metrics HTTP/1.1\r\nHost: 192.168.1.1\r\n\r\n")
	if got, want := res.Header.Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8"; got != want {
		t.Errorf("Content-Type: %s; want %s", got, want)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET / HTTP/1.0\r\n\r\n")
	f.Add("HEAD / HTTP/1.1\r\nHost: 192.168.1.1\r\n\r\n")
	f.Add("GET /metrics HTTP/1.1\r\nHost: [fe80::1]:80\r\n\r\n")
	f.Add("POST /x HTTP/1.1\nContent-Length: 1\n\nx")
	f.Add("GET http://router/ HTTP/1.1\r\n\r\n")
	f.Add("\x16\x03\x01\x00\x00")
	f.Fuzz(func(t *testing.T, request string) {
		res, body := ask(t, request)
		switch res.StatusCode {
		case 200, 400, 404, 405:
		default:
			t.Errorf("%q = %s", request, res.Status)
		}
		if res.StatusCode != 200 && len(body) > 100 {
			t.Errorf("%q = %q; want a short text of ours", request, body)
		}
	})
}

// A lobby is a listener whose connections are pipes.
type lobby struct {
	conns  chan net.Conn
	closed chan struct{}
	broken chan error
}

func newLobby() *lobby {
	return &lobby{make(chan net.Conn), make(chan struct{}), make(chan error)}
}

func (l *lobby) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.broken:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *lobby) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *lobby) Addr() net.Addr { return &net.TCPAddr{Port: 80} }

// enter waits to be accepted, and returns false after a second.
func (l *lobby) enter() (net.Conn, bool) {
	visitor, host := net.Pipe()
	select {
	case l.conns <- host:
		return visitor, true
	case <-time.After(time.Second):
		return nil, false
	}
}

// serving runs Serve in a bubble.
func serving(t *testing.T, report func() *Report, test func(l *lobby, stop func(), ended chan error)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLobby()
		ended := make(chan error, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					ended <- fmt.Errorf("panic: %v", p)
				}
			}()
			ended <- Serve(ctx, l, report)
		}()
		test(l, cancel, ended)
		cancel()
		synctest.Wait()
	})
}

func TestServeAnswers(t *testing.T) {
	serving(t, example, func(l *lobby, stop func(), ended chan error) {
		for range 3 * atOnce {
			c, ok := l.enter()
			if !ok {
				t.Fatal("not accepted")
			}
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			page, err := io.ReadAll(c)
			if err != nil || !bytes.Contains(page, []byte("leasehold")) {
				t.Fatalf("answer: %.80q, %v", page, err)
			}
		}
	})
}

func TestServeHangsUpOnTheSilent(t *testing.T) {
	serving(t, example, func(l *lobby, stop func(), ended chan error) {
		c, _ := l.enter()
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.0\r\n")
		began := time.Now()
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d != patience {
			t.Errorf("hung up after %v; want %v", d, patience)
		}
	})
}

func TestServeHangsUpOnWhoDoesNotRead(t *testing.T) {
	serving(t, example, func(l *lobby, stop func(), ended chan error) {
		c, _ := l.enter()
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		time.Sleep(patience)
		synctest.Wait()
		if _, err := io.WriteString(c, "x"); err != io.ErrClosedPipe {
			t.Errorf("after %v: %v; want a closed connection", patience, err)
		}
	})
}

func TestServeIsForEightAtOnce(t *testing.T) {
	serving(t, example, func(l *lobby, stop func(), ended chan error) {
		var inside []net.Conn
		for range atOnce {
			c, ok := l.enter()
			if !ok {
				t.Fatalf("visitor %d is not accepted", len(inside)+1)
			}
			defer c.Close()
			inside = append(inside, c)
		}
		if _, ok := l.enter(); ok {
			t.Fatalf("visitor %d is accepted", atOnce+1)
		}
		inside[0].Close()
		c, ok := l.enter()
		if !ok {
			t.Fatal("nobody is accepted after one has left")
		}
		c.Close()
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	serving(t, example, func(l *lobby, stop func(), ended chan error) {
		for range atOnce { // also with the house full
			c, _ := l.enter()
			defer c.Close()
		}
		began := time.Now()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v; want context.Canceled", err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("Serve ended after %v; want at once", d)
		}
		select {
		case <-l.closed:
		default:
			t.Error("the listener is left open")
		}
	})
}

func TestServeTellsWhyItCannotAccept(t *testing.T) {
	serving(t, example, func(l *lobby, stop func(), ended chan error) {
		l.broken <- os.ErrPermission
		if err := <-ended; !errors.Is(err, os.ErrPermission) {
			t.Errorf("Serve = %v; want %v", err, os.ErrPermission)
		}
	})
}

// A panic in the goroutine of a connection would end the whole router.
func TestServePanicsInPlaceOfItsConnections(t *testing.T) {
	report := func() *Report { panic("no report") }
	serving(t, report, func(l *lobby, stop func(), ended chan error) {
		c, _ := l.enter()
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "panic: no report") {
			t.Errorf("Serve = %v; want the panic", err)
		}
	})
}
