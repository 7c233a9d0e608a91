// Package stores starts a private PostgreSQL and a private Redis for the demo, the tests and the fault run. Both listen
// on loopback only, ask for a password, and die with the process that started them.
package stores

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Options says what to start.
type Options struct {
	Dir      string // where data, logs, ports and passwords stay; made when missing
	Postgres bool
	Redis    bool
	Fast     bool // tests: data need not survive a crash of the machine
	Memory   bool // PostgreSQL's files stay in memory where there is room, and until Close
}

// Stores are the running stores. Methods are not safe for concurrent use.
type Stores struct {
	DatabaseURL string // of the owner role; empty when PostgreSQL was not asked for
	RedisURL    string // empty when Redis was not asked for

	options  Options
	kept     kept
	user     *account
	postgres *child
	redis    *child
	lock     *os.File
}

// kept is what makes a later start find the same stores again.
type kept struct {
	Data          string `json:"data"` // where PostgreSQL's files are
	PostgresPort  int    `json:"postgres_port"`
	SuperPassword string `json:"super_password"`
	OwnerPassword string `json:"owner_password"`
	RedisPort     int    `json:"redis_port"`
	RedisPassword string `json:"redis_password"`
}

// Start starts what the options ask for and returns when all of it answers. Stores that an earlier process left in Dir
// come back with their data, addresses and passwords, unless somebody else took a port meanwhile. Error: ErrInUse.
func Start(ctx context.Context, o Options) (*Stores, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory of the stores: %w", err)
	}
	o.Dir = dir
	s := &Stores{options: o}
	if err := os.MkdirAll(o.Dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's user walks through it
		return nil, fmt.Errorf("directory of the stores: %w", err)
	}
	if s.lock, err = lock(o.Dir); err != nil {
		return nil, err
	}
	if s.user, err = unprivileged(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.remember(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if o.Postgres {
		if err := s.StartPostgres(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if o.Redis {
		if err := s.StartRedis(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Close stops what runs; data stays in Dir, unless it was in memory.
func (s *Stores) Close() error {
	err := errors.Join(s.StopRedis(), s.StopPostgres())
	if s.options.Memory && s.kept.Data != "" {
		err = errors.Join(err, os.RemoveAll(s.kept.Data))
	}
	_ = s.lock.Close() // harmless the second time
	return err
}

// remember reads what an earlier start kept, fills what is missing and writes it back.
func (s *Stores) remember() error {
	path := filepath.Join(s.options.Dir, "stores.json")
	if raw, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(raw, &s.kept); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	for _, password := range []*string{&s.kept.SuperPassword, &s.kept.OwnerPassword, &s.kept.RedisPassword} {
		if *password == "" {
			*password = newPassword()
		}
	}
	if _, err := os.Stat(s.kept.Data); err != nil { // the first start, or it was in memory
		if s.kept.Data, err = s.user.place(s.options.Dir, s.options.Memory); err != nil {
			return err
		}
	}
	for _, port := range []*int{&s.kept.PostgresPort, &s.kept.RedisPort} {
		if err := freePort(port); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(s.kept, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

// freePort keeps *port when nobody listens there, and otherwise takes another one.
func freePort(port *int) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(*port))
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
	}
	*port = listener.Addr().(*net.TCPAddr).Port
	return listener.Close()
}
