package main

import (
	"context"
	"io"
	"net"
	"os"
)

// pageEnv tells the program inside at which address of the machine the router's
// page is to be seen; the listener for it is file descriptor pageFD.
const (
	pageEnv = "LEASEHOLD_LAB_PAGE"
	pageFD  = 3
)

// forwardPage passes connections that the machine's browser makes on to the
// router's page, as if the browser sat in the given namespace.
func forwardPage(ctx context.Context, ns, to string) (at string, err error) {
	at = os.Getenv(pageEnv)
	if at == "" {
		return "", nil
	}
	l, err := net.FileListener(os.NewFile(pageFD, "page"))
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c, ns, to)
		}
	}()
	return at, nil
}

func forward(c net.Conn, ns, to string) {
	defer c.Close()
	r, err := dialIn(ns, to)
	if err != nil {
		io.WriteString(c, "HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nThe router does not answer; perhaps its power is off.\n")
		return
	}
	defer r.Close()
	go func() {
		io.Copy(r, c)
		r.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, r)
}

// dialIn connects from within a namespace.
func dialIn(ns, to string) (conn net.Conn, err error) {
	err = inNamespace(ns, func() (err error) {
		conn, err = net.Dial("tcp4", to)
		return err
	})
	return conn, err
}
