package stores

import (
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

	"github.com/redis/go-redis/v9"
)

// StartRedis starts an empty Redis and waits until it answers. It keeps nothing on disk: whatever it holds is only a
// reminder of what PostgreSQL knows.
func (s *Stores) StartRedis(ctx context.Context) error {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("Redis is not installed: apt-get install redis-server, or set REDIS_URL")
	}
	config := filepath.Join(s.kept.Data, "redis.conf") // the password would show in a command line
	if err := s.user.write(config, fmt.Sprintf("bind 127.0.0.1\nport %d\nrequirepass %s\nsave \"\"\nappendonly no\ndatabases 64\n",
		s.kept.RedisPort, s.kept.RedisPassword)); err != nil {
		return err
	}
	if s.redis, err = s.user.start(filepath.Join(s.options.Dir, "redis.log"), syscall.SIGTERM, s.kept.Data, program, config); err != nil {
		return err
	}
	u := url.URL{Scheme: "redis", User: url.UserPassword("", s.kept.RedisPassword), Path: "/0",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.kept.RedisPort))}
	s.RedisURL = u.String()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := s.withRedis(func(c *redis.Client) error { return c.Ping(ctx).Err() })
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
func (s *Stores) FlushRedis(ctx context.Context) error {
	return s.withRedis(func(c *redis.Client) error { return c.FlushAll(ctx).Err() })
}

func (s *Stores) withRedis(fn func(*redis.Client) error) error {
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		return err
	}
	options.MaxRetries = -1
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	return fn(client)
}
