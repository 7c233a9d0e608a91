package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// process starts this test binary as another program. It ends with the test.
func process(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
	})
	return cmd
}

// environment is what a process of its own needs to be part of the scene.
func (s *scene) environment() []string {
	c := s.house.config
	env := []string{"DATABASE_URL=" + c.DatabaseURL, "REDIS_URL=" + c.RedisURL, "PUBLIC_URL=" + c.PublicURL, "SECRET_KEYSET=" + string(c.Keyset),
		"VPOS_AM_URL=" + c.VposAmURL, "CRM_HOST_SUFFIXES=" + strings.Join(c.CRMHosts, ","), "LOG_LEVEL=error", "DATABASE_CONNS=6"}
	for name, app := range map[string]oauthApp{"BITRIX24": c.Bitrix24, "AMOCRM": c.AmoCRM, "KOMMO": c.Kommo} {
		env = append(env, name+"_CLIENT_ID="+app.ClientID, name+"_CLIENT_SECRET="+string(app.ClientSecret), name+"_AUTH_URL="+app.AuthURL)
	}
	return env
}

func TestAKilledWorkersWorkIsDoneOnceByAnother(t *testing.T) {
	t.Parallel()
	for system, points := range map[crm.System][]string{
		crm.Bitrix24: {"before call", "after call", "claimed"},
		crm.AmoCRM:   {"entered", "after call", "worked"},
		crm.Kommo:    {"sending", "recorded", "leaving"},
	} {
		t.Run(string(system), func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			for i, point := range points {
				s.accounts[system].survives(point, strconv.Itoa(i+1))
			}
		})
	}
}

// survives kills the only worker at a point of the work on a payment, and then starts another.
func (a *account) survives(point, deal string) {
	a.Helper()
	in := a.owes(deal)
	checkout := a.press(in)
	a.becomes(in, "awaiting_payment")
	a.quiet()
	a.stopWork()
	victim := process(a.T, append(a.environment(), diesAt+"="+point))
	a.pays(checkout, "wrong_amount", 1)
	_ = victim.Wait()
	status, ok := victim.ProcessState.Sys().(syscall.WaitStatus)
	require.True(a, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "killed at %q: %s", point, victim.ProcessState)
	began := time.Now()
	a.work()
	a.becomes(in, "manual_review")
	a.quiet()
	require.Less(a, time.Since(began), 15*time.Second, "killed at %q", point)
	card := a.deal(deal)
	require.Equal(a, "manual_review", card.field("status"))
	require.Len(a, card.notes(in), 1, "killed at %q", point)
	require.Len(a, card.Tasks, 1, "killed at %q", point)
}

// ready is what the demo's ready file says.
type ready struct {
	App       string `json:"app_url"`
	Processes []struct {
		Name string
		PID  int
	} `json:"processes"`
	Tenants []demo.Tenant     `json:"tenants"`
	Control map[string]string `json:"control"`
}

func (r ready) pid(name string) int {
	for _, p := range r.Processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

// staged is a demo in processes of its own, as a scene without a house.
func staged(t *testing.T) (s *scene, read func() ready) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ready.json")
	process(t, []string{asProgram + "=1", "DATABASE_URL=" + tenantstest.Empty(t, true), "REDIS_URL=" + tenantstest.Redis(t), "LOG_LEVEL=error"},
		"demo", "--ready-file", file, "--dir", t.TempDir())
	s = &scene{T: t, client: demo.LoopbackClient(20 * time.Second), accounts: map[crm.System]*account{}}
	read = func() (r ready) {
		if raw, err := os.ReadFile(file); err == nil {
			require.NoError(t, json.Unmarshal(raw, &r))
		}
		return r
	}
	s.within(60*time.Second, "the demo is ready", func() bool { return read().App != "" })
	r := read()
	s.app, s.control = r.App, r.Control
	for _, one := range r.Tenants {
		id, err := tenants.Restore(one.ID)
		require.NoError(t, err)
		s.accounts[crm.System(one.CRM)] = &account{scene: s, Tenant: one, id: id}
	}
	return s, read
}

func TestTheDemoOutlivesItsProcesses(t *testing.T) {
	t.Parallel()
	s, read := staged(t)
	made := map[*account]api.Invoice{}
	for _, a := range s.accounts {
		made[a] = a.create("1")
		a.becomes(made[a], "awaiting_payment")
		a.fault(a.Account, "slow", 2, 1500, "") // the workers are killed while they wait for an answer
	}
	for a, in := range made {
		a.pays(a.press(in), "paid", 2)
	}
	time.Sleep(300 * time.Millisecond)
	old := read()
	killed := time.Now()
	for _, name := range []string{"work-1", "work-2", "serve"} {
		require.NotZero(t, old.pid(name))
		require.NoError(t, syscall.Kill(old.pid(name), syscall.SIGKILL))
	}
	s.within(10*time.Second, "everything was started again", func() bool {
		now := read()
		return now.pid("work-1") != old.pid("work-1") && now.pid("work-2") != old.pid("work-2") && now.pid("serve") != old.pid("serve") &&
			s.send(http.MethodGet, s.app+"/readyz", nil).Status == http.StatusOK
	})
	for a, in := range made {
		a.becomes(in, "paid")
		card := a.deal("1")
		require.Equal(t, a.won(), card.Stage)
		require.Len(t, card.notes(in), 1)
	}
	require.Less(t, time.Since(killed), 20*time.Second)
}
