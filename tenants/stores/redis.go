package stores

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// StartRedis starts an empty Redis and waits until it answers. It keeps nothing on disk: whatever it holds is only a
// reminder of what PostgreSQL knows.
func (s *Stores) StartRedis(ctx context.Context) error {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is not installed: apt-get install redis-server, or set REDIS_URL")
	}
	config := filepath.Join(s.kept.Data, "redis.conf") // the password would show in a command line
	if err := s.user.write(config, fmt.Sprintf("bind 127.0.0.1\nport %d\nrequirepass %s\nsave \"\"\nappendonly no\ndatabases 64\n",
		s.kept.RedisPort, s.kept.RedisPassword)); err != nil {
		return err
	}
	if s.redis, err = s.user.start(filepath.Join(s.options.Dir, "redis.log"), syscall.SIGTERM, s.kept.Data, program, config); err != nil {
		return err
	}
	s.RedisURL = (&url.URL{Scheme: "redis", User: url.UserPassword("", s.kept.RedisPassword), Path: "/0", Host: s.redisAddress()}).String()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := s.tellRedis(ctx, "PING", "+PONG")
		if err == nil {
			return nil
		}
		if s.redis.ended() || time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("redis does not start (see %s): %w", filepath.Join(s.options.Dir, "redis.log"), err), s.StopRedis())
		}
	}
}

// StopRedis ends Redis; what it held is lost.
func (s *Stores) StopRedis() error {
	err := s.redis.stop(syscall.SIGTERM, syscall.SIGKILL)
	s.redis = nil
	return err
}

// FlushRedis makes Redis forget everything.
func (s *Stores) FlushRedis(ctx context.Context) error { return s.tellRedis(ctx, "FLUSHALL", "+OK") }

func (s *Stores) redisAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.kept.RedisPort))
}

// tellRedis sends one inline command; a client library is not worth two commands on this floor.
func (s *Stores) tellRedis(ctx context.Context, command, want string) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", s.redisAddress())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n%s\r\n", s.kept.RedisPassword, command); err != nil {
		return err
	}
	answers := bufio.NewScanner(conn)
	for _, want := range []string{"+OK", want} {
		if !answers.Scan() || answers.Text() != want {
			return fmt.Errorf("redis answers %q to %s", answers.Text(), command)
		}
	}
	return nil
}
