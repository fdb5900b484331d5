// Command frozen is a checker as it could have been written for the first version of the protocol, in a language without an SDK:
// it has no generated code, and knows only the numbers of the fields that it needs. It is never to be changed. The tests of
// core/pluginhost run it, so that a host of today works with a plugin of that day.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve does the handshake and answers until the host is gone.
func serve() error {
	if os.Getenv("VIPWARD_PLUGIN") != "3b0f6d0c5a6e4d0b9c5f4f6f3d0e7a11" {
		return errors.New("this is a plugin of vipward, which starts it")
	}
	go followHost()
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "frozen.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Printf("1|1|unix|%s|grpc|\n", socket)
	return grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(handle)).Serve(l)
}

// followHost ends the process with the lifeline.
func followHost() {
	fd, err := strconv.Atoi(os.Getenv("VIPWARD_LIFELINE_FD"))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline"))
	os.Exit(0)
}

// bytesCodec leaves messages as they are on the wire.
type bytesCodec struct{}

func (bytesCodec) Name() string                  { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// handle answers every method.
func handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	switch method {
	case "/vipward.plugin.v1.Plugin/Describe":
		return answer(stream, description())
	case "/vipward.plugin.v1.Plugin/Validate":
		return answer(stream, nil)
	case "/grpc.health.v1.Health/Check":
		return answer(stream, number(nil, 1, 1)) // SERVING
	case "/vipward.plugin.v1.Plugin/Control":
		return echo(stream)
	case "/vipward.plugin.v1.Checker/Run":
		return run(stream)
	case "/plugin.GRPCController/Shutdown":
		os.Exit(0)
	}
	return status.Errorf(codes.Unimplemented, "no method %s", method)
}

func answer(stream grpc.ServerStream, m []byte) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	return stream.SendMsg(&m)
}

// echo answers pings: Ping and Pong have the same fields, and so have their envelopes.
func echo(stream grpc.ServerStream) error {
	for {
		var m []byte
		if err := stream.RecvMsg(&m); err != nil {
			return nil
		}
		if err := stream.SendMsg(&m); err != nil {
			return err
		}
	}
}

// run passes whatever it is assigned, every 100 ms.
func run(stream grpc.ServerStream) error {
	ids := make(chan uint64, 1024)
	go func() {
		for {
			var m []byte
			if stream.RecvMsg(&m) != nil {
				return
			}
			assigned(m, ids)
		}
	}()
	var mine []uint64
	for {
		for len(ids) > 0 {
			mine = append(mine, <-ids)
		}
		var event []byte
		for _, id := range mine {
			event = text(event, 1, number(number(nil, 1, id), 2, 1)) // results {id, status: PASS}
		}
		if err := stream.SendMsg(&event); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// assigned takes the ids out of a CheckerRequest.
func assigned(m []byte, ids chan<- uint64) {
	fields(m, func(n protowire.Number, v []byte, _ uint64) {
		if n == 1 { // assign
			fields(v, func(n protowire.Number, _ []byte, id uint64) {
				if n == 1 {
					ids <- id
				}
			})
		}
	})
}

// fields walks through a message. It passes over what it does not understand.
func fields(m []byte, f func(n protowire.Number, text []byte, number uint64)) {
	for len(m) > 0 {
		num, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return
		}
		m = m[n:]
		switch kind {
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(m)
			if n < 0 {
				return
			}
			f(num, v, 0)
			m = m[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(m)
			if n < 0 {
				return
			}
			f(num, nil, v)
			m = m[n:]
		default:
			n := protowire.ConsumeFieldValue(num, kind, m)
			if n < 0 {
				return
			}
			m = m[n:]
		}
	}
}

// description is a DescribeResponse with one checker, whose schema is empty.
func description() []byte {
	component := text(text(number(nil, 1, 1), 2, []byte("frozen")), 4, nil)
	return text(text(text(nil, 1, []byte("frozen")), 2, []byte("1")), 4, component)
}

func text(m []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), v)
}

func number(m []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
}
