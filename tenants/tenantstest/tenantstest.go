// Package tenantstest gives each test a migrated database of its own, made from a template, and a Redis database of its
// own. The servers are private to the test binary and end with it; DEALPAY_TEST_DATABASE_URL names another PostgreSQL,
// as an owner who may create roles and databases.
package tenantstest

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/dealpay/dealpay/migrations"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/stores"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Fixture is a test's own database.
type Fixture struct {
	DB     *tenants.DB
	URL    string // of the owner
	Sealer *tenants.Sealer
	Keyset string // SECRET_KEYSET of Sealer
}

const conns = 12

// DB makes a migrated database, which goes away with the test.
func DB(t testing.TB) *Fixture {
	t.Helper()
	keyset, err := tenants.NewKeyset()
	require.NoError(t, err)
	sealer, err := tenants.NewSealer(keyset)
	require.NoError(t, err)
	f := &Fixture{URL: Empty(t, true), Sealer: sealer, Keyset: keyset}
	f.DB, err = tenants.Open(t.Context(), f.URL, conns, sealer)
	require.NoError(t, err)
	t.Cleanup(f.DB.Close)
	return f
}

// Empty makes a database without a DB around it, migrated or not, and returns its owner's URL.
func Empty(t testing.TB, migrated bool) string {
	t.Helper()
	template, err := template()
	require.NoError(t, err, "private PostgreSQL for tests")
	name := fmt.Sprintf("dealpay_test_%d_%d", os.Getpid(), databases.Add(1))
	sql := "CREATE DATABASE " + name
	if migrated {
		sql += " TEMPLATE " + template.name
	}
	require.NoError(t, run(t.Context(), template.server, sql))
	t.Cleanup(func() {
		_ = run(context.Background(), template.server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	return withDatabase(template.server, name)
}

// Tenant makes an active tenant of the CRM system with this account key, as an install does.
func Tenant(t testing.TB, f *Fixture, system, key string) tenants.ID {
	t.Helper()
	suffix := map[string]string{"bitrix24": ".bitrix24.com", "amocrm": ".amocrm.ru", "kommo": ".kommo.com"}[system]
	id, err := f.DB.Join(t.Context(), system, key, key+suffix, key)
	require.NoError(t, err)
	return id
}

// Redis returns the URL of an empty Redis database that no other test of this binary uses meanwhile.
func Redis(t testing.TB) string {
	t.Helper()
	server, err := redisServer()
	require.NoError(t, err, "private Redis for tests")
	var number int
	select {
	case number = <-server.free:
	case <-t.Context().Done():
		t.Fatal("no free Redis database")
	}
	address := withDatabase(server.url, fmt.Sprint(number))
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(options)
	require.NoError(t, client.FlushDB(t.Context()).Err())
	require.NoError(t, client.Close())
	t.Cleanup(func() { server.free <- number })
	return address
}

var databases atomic.Int64

type source struct {
	server, name string
	alive        io.Closer // held open until the process ends
}

// template makes the migrated database that the others are copies of, once for each test binary.
var template = sync.OnceValues(func() (source, error) {
	ctx := context.Background()
	s := source{server: os.Getenv("DEALPAY_TEST_DATABASE_URL"), name: fmt.Sprintf("dealpay_template_%d", os.Getpid())}
	if s.server == "" {
		dir, alive, err := scratch()
		if err != nil {
			return s, err
		}
		private, err := stores.Start(ctx, stores.Options{Dir: dir, Postgres: true, Fast: true})
		if err != nil {
			return s, err
		}
		s.server, s.alive = private.DatabaseURL, alive
	}
	conn, err := pgx.Connect(ctx, s.server)
	if err != nil {
		return s, err
	}
	defer func() { _ = conn.Close(ctx) }()
	// Roles belong to the whole server: other test binaries make them too.
	for _, sql := range []string{"SELECT pg_advisory_lock(7305513)", "DROP DATABASE IF EXISTS " + s.name, "CREATE DATABASE " + s.name} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return s, err
		}
	}
	return s, migrations.Up(ctx, withDatabase(s.server, s.name))
})

type redisSource struct {
	url   string
	free  chan int
	alive io.Closer
}

var redisServer = sync.OnceValues(func() (redisSource, error) {
	s := redisSource{free: make(chan int, 64)}
	for n := range cap(s.free) {
		s.free <- n
	}
	dir, alive, err := scratch()
	if err != nil {
		return s, err
	}
	private, err := stores.Start(context.Background(), stores.Options{Dir: dir, Redis: true, Fast: true})
	if err != nil {
		return s, err
	}
	s.url, s.alive = private.RedisURL, alive
	return s, nil
})

// scratch makes a directory that a small process of its own removes when this one has ended, however that happens.
func scratch() (string, io.Closer, error) {
	dir, err := os.MkdirTemp("", "dealpay-test-")
	if err != nil {
		return "", nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", nil, err
	}
	reaper := exec.Command("sh", "-c", `cat; for again in 1 2 3 4 5; do sleep 0.5; rm -rf "$0" && exit; done`, dir)
	reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	open, err := reaper.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := reaper.Start(); err != nil {
		return "", nil, err
	}
	return dir, open, nil
}

func run(ctx context.Context, server, sql string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // the first connection says what is wrong with it
	}
	u.Path = "/" + name
	return u.String()
}
