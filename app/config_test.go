package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

// deployment is an environment with which the program starts.
func deployment(t *testing.T) map[string]string {
	keyset, err := tenants.NewKeyset()
	require.NoError(t, err)
	return map[string]string{"DATABASE_URL": "postgres://owner:s3cret@127.0.0.1:5432/dealpay", "REDIS_URL": "redis://:s3cret@127.0.0.1:6379/0", "PUBLIC_URL": "https://pay.example.com",
		"SECRET_KEYSET": keyset, "BITRIX24_CLIENT_ID": "app.1", "BITRIX24_CLIENT_SECRET": "s3cret"}
}

func TestABadOrMissingVariableStopsTheStartWithItsNameAndWhatIsExpected(t *testing.T) {
	good := deployment(t)
	names := []string{"LISTEN_ADDR", "LOG_LEVEL", "WORK_CONCURRENCY", "DATABASE_CONNS", "CRM_HOST_SUFFIXES", "BITRIX24_AUTH_URL", "AMOCRM_CLIENT_ID", "AMOCRM_CLIENT_SECRET",
		"AMOCRM_AUTH_URL", "KOMMO_CLIENT_ID", "KOMMO_CLIENT_SECRET", "KOMMO_AUTH_URL", "AMO_STRICT_TOKENS", "VPOS_AM_URL", "STRIPE_URL", "ARCA_GATEWAYS", "AMERIA_ORDER_OFFSET"}
	starts := func(change map[string]string) error {
		all := maps.Clone(good)
		maps.Copy(all, change)
		for _, name := range names {
			if _, set := all[name]; !set {
				t.Setenv(name, "")
				require.NoError(t, os.Unsetenv(name))
			}
		}
		for name, value := range all {
			t.Setenv(name, value)
		}
		c, err := readConfig()
		if err == nil {
			err = c.offered()
		}
		return err
	}
	require.NoError(t, starts(nil))
	for name, values := range map[string][]string{
		"DATABASE_URL":           {"", "mysql://owner:s3cret@127.0.0.1/dealpay", "postgres://owner:s3cret@127.0.0.1:port/dealpay", "s3cret"},
		"REDIS_URL":              {"", "http://:s3cret@127.0.0.1:6379", "127.0.0.1:6379", "redis://:s3cret@127.0.0.1:6379/x"},
		"PUBLIC_URL":             {"", "pay.example.com", "http://pay.example.com", "https://pay.example.com/app", "https://pay.example.com?x=1", "ftp://localhost"},
		"LISTEN_ADDR":            {"nonsense", "127.0.0.1", "127.0.0.1:http", ":70000"},
		"SECRET_KEYSET":          {"", "s3cret", "czNjcmV0"},
		"LOG_LEVEL":              {"loud"},
		"WORK_CONCURRENCY":       {"x", "0", "1001", "1.5"},
		"DATABASE_CONNS":         {"many", "1"},
		"CRM_HOST_SUFFIXES":      {"com", "127.0.0.1", "https://bitrix24.com"},
		"BITRIX24_CLIENT_ID":     {""},
		"BITRIX24_CLIENT_SECRET": {""},
		"BITRIX24_AUTH_URL":      {"nonsense", "http://oauth.bitrix.info", "https://oauth.bitrix.info,nonsense", "https://oauth.evil.example", "https://"},
		"AMOCRM_CLIENT_SECRET":   {"s3cret"},
		"KOMMO_CLIENT_ID":        {"id"},
		"AMO_STRICT_TOKENS":      {"perhaps"},
		"VPOS_AM_URL":            {"nonsense", "http://api.vpos.am"},
		"STRIPE_URL":             {"http://api.stripe.com"},
		"ARCA_GATEWAYS":          {"nonsense", "own=ftp://bank.example"},
		"AMERIA_ORDER_OFFSET":    {"first"},
	} {
		for _, value := range values {
			err := starts(map[string]string{name: value})
			require.ErrorContains(t, err, name, value)
			require.ErrorContains(t, err, "expected", "%s=%s", name, value)
			require.NotContains(t, err.Error(), "s3cret", "%s=%s", name, value)
			require.NotContains(t, err.Error(), good["SECRET_KEYSET"])
		}
	}
	require.ErrorContains(t, starts(map[string]string{"AMOCRM_AUTH_URL": "https://www.amocrm.ru"}), "AMOCRM_CLIENT_ID is missing")
	require.ErrorContains(t, starts(map[string]string{"BITRIX24_CLIENT_ID": "", "BITRIX24_CLIENT_SECRET": ""}), "AMOCRM_CLIENT_ID")
	require.NoError(t, starts(map[string]string{"BITRIX24_CLIENT_ID": "", "BITRIX24_CLIENT_SECRET": "", "KOMMO_CLIENT_ID": "id", "KOMMO_CLIENT_SECRET": "s3cret",
		"KOMMO_AUTH_URL": "https://www.kommo.com/oauth", "LISTEN_ADDR": ":0", "PUBLIC_URL": "http://dealpay.localhost:8080/"}))
}

// runs runs this program to its end and returns what it said.
func runs(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH")}, env...), "LISTEN_ADDR=127.0.0.1:0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	require.NoError(t, ctx.Err(), said.String())
	return said.String(), err
}

func TestAForeignKeysetStopsTheStart(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.NoError(t, s.house.unlocks(t.Context()))
	s.accounts[crm.Bitrix24].create("1")
	foreign, err := tenants.NewKeyset()
	require.NoError(t, err)
	rotated, err := tenants.Rotate(string(s.house.config.Keyset))
	require.NoError(t, err)
	for _, command := range []string{"serve", "work", "doctor"} {
		said, err := runs(t, append(s.environment(), "SECRET_KEYSET="+foreign), command)
		require.Error(t, err, command)
		require.Contains(t, said, "SECRET_KEYSET cannot open what is in the database: expected", command)
		require.NotContains(t, said, foreign)
	}
	said, err := runs(t, append(s.environment(), "SECRET_KEYSET="+rotated), "doctor")
	require.NoError(t, err, said)
	require.Contains(t, said, "ok    the keyset is that of the database")
}

func TestTheProgramSaysWhatACommandLacks(t *testing.T) {
	t.Parallel()
	said, err := runs(t, nil, "serve")
	require.Error(t, err)
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEYSET"} {
		require.Contains(t, said, name)
	}
	file := filepath.Join(t.TempDir(), "widget.zip")
	for _, address := range []string{"", "pay.example.com", "http://pay.example.com"} {
		for _, product := range []string{"amocrm", "kommo"} {
			said, err = runs(t, []string{"PUBLIC_URL=" + address}, "archive", product, "-o", file)
			require.Error(t, err, address)
			require.Contains(t, said, "PUBLIC_URL is ")
			require.Contains(t, said, "expected https://host")
			require.NoFileExists(t, file)
		}
	}
	_, err = runs(t, []string{"PUBLIC_URL=https://pay.example.com/"}, "archive", "kommo", "-o", file)
	require.NoError(t, err)
	began := time.Now()
	said, err = runs(t, nil, "demo", "--workers", "0", "--dir", t.TempDir())
	require.Error(t, err)
	require.Contains(t, said, "--workers is 0: expected 1 or more")
	require.Less(t, time.Since(began), 10*time.Second)
	require.False(t, strings.Contains(said, "starting"))
}
