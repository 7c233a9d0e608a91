package stores

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	ownerName = "dealpay" // role and database
	superName = "postgres"
)

// StartPostgres starts PostgreSQL and waits until the owner's database answers.
func (s *Stores) StartPostgres(ctx context.Context) error {
	data := filepath.Join(s.kept.Data, "postgres")
	bin, err := postgresBin(data)
	if err != nil {
		return err
	}
	if err := s.initPostgres(ctx, bin, data); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if s.postgres, err = s.runPostgres(bin, data); err != nil {
			return err
		}
		if err = s.awaitPostgres(ctx); err == nil {
			break
		}
		// A server of an earlier process may still be shutting down.
		if ctx.Err() != nil || !s.postgres.ended() || time.Now().After(deadline) {
			return errors.Join(err, s.StopPostgres())
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.DatabaseURL = s.url(ownerName, s.kept.OwnerPassword, ownerName)
	return nil
}

// StopPostgres ends PostgreSQL: open transactions are rolled back, clients are cut off.
func (s *Stores) StopPostgres() error {
	err := s.postgres.stop(syscall.SIGINT, syscall.SIGQUIT)
	s.postgres = nil
	return err
}

// RestartPostgres stops PostgreSQL and starts it again at the same address.
func (s *Stores) RestartPostgres(ctx context.Context) error {
	if err := s.StopPostgres(); err != nil {
		return err
	}
	return s.StartPostgres(ctx)
}

// postgresBin finds the programs of the version that made data, or else the newest.
func postgresBin(data string) (string, error) {
	version, _ := os.ReadFile(filepath.Join(data, "PG_VERSION")) // not there yet: any version will do
	wanted := strings.TrimSpace(string(version))
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	slices.SortFunc(found, func(a, b string) int { return majorOf(b) - majorOf(a) })
	for _, path := range found {
		if wanted == "" || wanted == strconv.Itoa(majorOf(path)) {
			return filepath.Dir(path), nil
		}
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	if wanted != "" {
		return "", fmt.Errorf("PostgreSQL %s made %s and is not installed: apt-get install postgresql-%s", wanted, data, wanted)
	}
	return "", errors.New("PostgreSQL is not installed: apt-get install postgresql, or set DATABASE_URL")
}

func majorOf(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// initPostgres makes the cluster unless it is there. A half-made one is thrown away: initdb writes PG_VERSION early,
// so the cluster is made beside and moved into place.
func (s *Stores) initPostgres(ctx context.Context, bin, data string) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	made := data + ".new"
	password := filepath.Join(s.kept.Data, "password")
	defer func() { _ = os.Remove(password) }()
	if err := errors.Join(os.RemoveAll(made), s.user.write(password, s.kept.SuperPassword)); err != nil {
		return err
	}
	args := []string{"-D", made, "-U", superName, "--pwfile", password, "--auth=" + s.passwords(), "--encoding=UTF8", "--no-locale"}
	if s.options.Fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
	cmd.Dir, cmd.SysProcAttr = s.kept.Data, s.user.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return os.Rename(made, data)
}

// passwords is how PostgreSQL asks for them. Tests connect thousands of times, and SCRAM costs each some milliseconds.
func (s *Stores) passwords() string {
	if s.options.Fast {
		return "md5"
	}
	return "scram-sha-256"
}

func (s *Stores) runPostgres(bin, data string) (*child, error) {
	settings := []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "port=" + strconv.Itoa(s.kept.PostgresPort),
		"max_connections=200", "timezone=UTC", "log_timezone=UTC", "password_encryption=" + s.passwords()}
	if s.options.Fast {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal",
			"max_wal_senders=0", "autovacuum_naptime=60")
	}
	args := []string{"-D", data}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return s.user.start(filepath.Join(s.options.Dir, "postgres.log"), syscall.SIGINT, s.kept.Data, filepath.Join(bin, "postgres"), args...)
}

// awaitPostgres returns when the server answers and the owner's role and database exist.
func (s *Stores) awaitPostgres(ctx context.Context) error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := s.ours()
		if err == nil {
			err = s.makeOwner(ctx)
		}
		if err == nil {
			return nil
		}
		if s.postgres.ended() || time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("PostgreSQL does not start (see %s): %w", filepath.Join(s.options.Dir, "postgres.log"), err)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// ours says whether the cluster is held by the server that we started and not by one still shutting down.
func (s *Stores) ours() error {
	raw, err := os.ReadFile(filepath.Join(s.kept.Data, "postgres", "postmaster.pid"))
	if err != nil {
		return err
	}
	if pid, _, _ := strings.Cut(string(raw), "\n"); pid != strconv.Itoa(s.postgres.cmd.Process.Pid) {
		return errors.New("another server holds the data")
	}
	return nil
}

// makeOwner is the only use of the superuser. The owner may make roles and databases and is no superuser, so that
// row-level security binds it too.
func (s *Stores) makeOwner(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url(superName, s.kept.SuperPassword, "postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, step := range []struct{ exists, make string }{
		{`SELECT FROM pg_roles WHERE rolname = $1`,
			fmt.Sprintf(`CREATE ROLE %s LOGIN CREATEROLE CREATEDB NOSUPERUSER PASSWORD '%s'`, ownerName, s.kept.OwnerPassword)},
		{`SELECT FROM pg_database WHERE datname = $1`, fmt.Sprintf(`CREATE DATABASE %s OWNER %s`, ownerName, ownerName)},
	} {
		tag, err := conn.Exec(ctx, step.exists, ownerName)
		if err == nil && tag.RowsAffected() == 0 {
			_, err = conn.Exec(ctx, step.make)
		}
		if err != nil {
			return fmt.Errorf("make the owner: %w", err)
		}
	}
	return nil
}

func (s *Stores) url(user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database, RawQuery: "sslmode=disable",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.kept.PostgresPort))}
	return u.String()
}
