package stores_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants/stores"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, dir string) *stores.Stores {
	t.Helper()
	s, err := stores.Start(t.Context(), stores.Options{Dir: dir, Postgres: true, Redis: true, Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// open is a directory that PostgreSQL's user can walk to, unlike t.TempDir's; it goes away with the test.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dealpay-stores-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { require.NoError(t, stores.Discard(dir)) })
	return dir
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer))
	return answer
}

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	options.MaxRetries = -1
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestOwnerIsNoSuperuserAndMayMakeRoles(t *testing.T) {
	s := start(t, open(t))
	require.Equal(t, "false/true/true", query(t, s.DatabaseURL,
		`SELECT concat_ws('/', rolsuper::text, rolcreaterole::text, rolcreatedb::text) FROM pg_roles WHERE rolname = current_user`))
	require.Equal(t, "dealpay", query(t, s.DatabaseURL, `SELECT current_database()`))
	_, err := pgx.Connect(t.Context(), strings.Replace(s.DatabaseURL, "dealpay:", "dealpay:x", 1))
	require.Error(t, err, "a wrong password opens nothing")
}

func TestRestartKeepsDataAndAddresses(t *testing.T) {
	dir := open(t)
	first := start(t, dir)
	conn, err := pgx.Connect(t.Context(), first.DatabaseURL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT 'still here' AS word`)
	require.NoError(t, err)
	require.NoError(t, first.RestartPostgres(t.Context()))
	require.Error(t, conn.Ping(t.Context()), "a restart cuts connections")
	require.Equal(t, "still here", query(t, first.DatabaseURL, `SELECT word FROM kept`))
	require.NoError(t, first.Close())

	second := start(t, dir)
	require.Equal(t, first.DatabaseURL, second.DatabaseURL)
	require.Equal(t, first.RedisURL, second.RedisURL)
	require.Equal(t, "still here", query(t, second.DatabaseURL, `SELECT word FROM kept`))
}

func TestRedisForgetsAndComesBack(t *testing.T) {
	s, err := stores.Start(t.Context(), stores.Options{Dir: open(t), Redis: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Empty(t, s.DatabaseURL)
	c := client(t, s.RedisURL)
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, s.FlushRedis(t.Context()))
	require.ErrorIs(t, c.Get(t.Context(), "k").Err(), redis.Nil)
	require.NoError(t, s.StopRedis())
	require.Error(t, c.Ping(t.Context()).Err())
	require.NoError(t, s.StartRedis(t.Context()))
	require.NoError(t, c.Ping(t.Context()).Err())
	require.Error(t, client(t, strings.Replace(s.RedisURL, "redis://:", "redis://:x", 1)).Ping(t.Context()).Err())
}

func TestWhatIsInMemoryGoesWithItsStores(t *testing.T) {
	dir := open(t)
	for range 2 {
		s, err := stores.Start(t.Context(), stores.Options{Dir: dir, Postgres: true, Fast: true, Memory: true})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `CREATE TABLE kept ()`)
		require.NoError(t, err, "it begins empty")
		require.NoError(t, conn.Close(t.Context()))
		var where struct{ Data string }
		raw, err := os.ReadFile(filepath.Join(dir, "stores.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &where))
		require.DirExists(t, filepath.Join(where.Data, "postgres"))
		require.NoError(t, s.Close())
		require.NoDirExists(t, where.Data)
	}
}

// The child of TestStoresDieWithTheirStarter: it starts the stores and waits to be killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("DEALPAY_STORES_CHILD")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := stores.Start(context.Background(), stores.Options{Dir: dir, Postgres: true, Redis: true, Fast: true})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(s.DatabaseURL, s.RedisURL)
	time.Sleep(time.Minute)
}

func TestStoresDieWithTheirStarter(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	dir := open(t)
	cmd.Env = append(os.Environ(), "DEALPAY_STORES_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var database, redisURL string
	_, err = fmt.Fscan(out, &database, &redisURL)
	require.NoError(t, err)
	require.NoError(t, client(t, redisURL).Ping(t.Context()).Err())
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := pgx.Connect(t.Context(), database)
		return err != nil && client(t, redisURL).Ping(t.Context()).Err() != nil
	}, 10*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "data", "postgres", "postmaster.pid"))
		return os.IsNotExist(err)
	}, 10*time.Second, 50*time.Millisecond, "PostgreSQL shut down in order")
}

func TestRunningStoresAreNobodyElses(t *testing.T) {
	dir := open(t)
	s := start(t, dir)
	_, err := stores.Start(t.Context(), stores.Options{Dir: dir, Redis: true})
	require.ErrorIs(t, err, stores.ErrInUse)
	require.ErrorIs(t, stores.Discard(dir), stores.ErrInUse)
	require.NoError(t, client(t, s.RedisURL).Ping(t.Context()).Err())
	require.NotEmpty(t, query(t, s.DatabaseURL, `SELECT version()`))
	require.NoError(t, s.Close())
	require.NoError(t, stores.Discard(dir))
}

func TestDataGoesWhereItsUserCanReach(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root runs the stores as somebody else")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	dir := filepath.Join(closed, "stores")
	s := start(t, dir)
	require.NotEmpty(t, query(t, s.DatabaseURL, `SELECT version()`))
	_, err := os.Stat(filepath.Join(dir, "data"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, s.Close())
	left, err := filepath.Glob("/var/lib/dealpay-*")
	require.NoError(t, err)
	require.NotEmpty(t, left)
	require.NoError(t, stores.Discard(dir))
	now, err := filepath.Glob("/var/lib/dealpay-*")
	require.NoError(t, err)
	require.Len(t, now, len(left)-1)
}
