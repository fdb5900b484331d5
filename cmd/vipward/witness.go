package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vipward/vipward/core/witness"
)

// leastWitnessKey is the shortest key that is taken, in bytes.
const leastWitnessKey = 16

// newWitnessCommand is `vipward witness`.
func newWitnessCommand() *cobra.Command {
	var listen, keyFile, level string
	var most time.Duration
	c := &cobra.Command{
		Use:   "witness",
		Short: "Be the third machine of a pair, which says who may hold an instance",
		Long: "Be the third machine of a pair: say which node may hold an instance, to one at a time, for a few seconds each. It needs no\n" +
			"configuration and keeps nothing on the disk; one serves any number of pairs. After its own start it grants nothing for\n" +
			"--max-ttl, since a grant of the run before may still last. The nodes ask it by a block witness \"http\".",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := witnessKey(keyFile)
			if err != nil {
				return err
			}
			if most < time.Second || most > time.Hour {
				return usageError(fmt.Errorf("--max-ttl %v: a grant lasts 1s to 1h", most))
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return usageError(fmt.Errorf("--log-level %s: it is debug, info, warn or error", level))
			}
			socket, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listen for nodes: %w", err)
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: l}))
			if key == nil {
				log.Warn("there is no --key-file: whoever reaches this witness can take a grant away from a pair")
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			log.Info("listening", "address", socket.Addr().String(), "grants_from", time.Now().Add(most).Format(time.TimeOnly))
			return serveWitness(ctx, socket, witness.NewServer(witness.Options{Key: key, MostTTL: most, Logger: log}).Handler())
		},
	}
	c.Flags().StringVar(&listen, "listen", ":9116", "address to listen on")
	c.Flags().StringVar(&keyFile, "key-file", "", "file with the key that requests and answers are signed with")
	c.Flags().DurationVar(&most, "max-ttl", 10*time.Second, "the longest grant, and how long nothing is granted after the start")
	c.Flags().StringVar(&level, "log-level", "info", "debug shows each request")
	return c
}

// witnessKey reads a key; nil where no file is named.
func witnessKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("others can read the key %s: chmod o= %s", path, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if b = bytes.TrimRight(b, "\r\n"); len(b) < leastWitnessKey {
		return nil, fmt.Errorf("the key in %s has %d bytes, and needs %d: head -c 24 /dev/urandom | base64 makes one", path, len(b), leastWitnessKey)
	}
	return b, nil
}

// serveWitness answers until ctx ends. No asker may hold a connection for long.
func serveWitness(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	stopped := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopped()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve nodes: %w", err)
	}
	return nil
}
