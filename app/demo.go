package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/migrations"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/stores"
)

type demoCommand struct {
	Workers   int    `default:"2" help:"How many work processes."`
	ReadyFile string `help:"Written when everything answers, and again when a process got another pid."`
	Seed      int    `help:"Seed of what is random in the stand-ins; their data is fixed, so it changes nothing yet."`
	Dir       string `default:".dealpay/demo" help:"Where private stores keep their data; emptied at the start."`
	Deals     int    `hidden:"" default:"20" help:"How many deals every CRM stand-in has."`
	Smoke     string `help:"A command to run when everything answers, with the ready file as its last argument; the demo ends with its result."`
}

// running is a demo under way.
type running struct {
	command  demoCommand
	config   config
	apps     map[string]string
	appURL   string
	standins string // base of the stand-ins
	stores   *stores.Stores
	parts    *demo.Supervisor
	seeder   *demo.Seeder
	tenants  []demo.Tenant
	mu       sync.Mutex
	pids     map[string]int
	private  map[string]int // pids of private stores
	keeping  sync.WaitGroup
}

func newRunning(d demoCommand) *running {
	return &running{command: d, pids: map[string]int{}, private: map[string]int{}}
}

// Run starts everything in the foreground.
func (d demoCommand) Run(ctx context.Context) error {
	if d.Workers < 1 {
		return fmt.Errorf("--workers is %d: expected 1 or more, because an installation is finished by a worker", d.Workers)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := newRunning(d)
	defer r.close(stop)
	if err := r.start(ctx); err != nil {
		return err
	}
	r.print()
	if d.Smoke != "" {
		return r.smoke(ctx)
	}
	<-ctx.Done()
	return nil
}

func (r *running) start(ctx context.Context) error {
	if err := r.forgetReady(); err != nil { // of an earlier demo
		return err
	}
	if err := r.openStores(ctx); err != nil {
		return err
	}
	if err := r.configure(); err != nil {
		return err
	}
	if err := migrations.Up(ctx, r.config.DatabaseURL); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	r.parts = &demo.Supervisor{Program: program, Env: r.environment(), Changed: func() { r.changed(ctx) }}
	_, port, _ := net.SplitHostPort(r.standins[len("http://"):])
	r.parts.Start(ctx, "standins", "standins", "--listen", "127.0.0.1:"+port, "--app-url", r.appURL, "--suffix", ".localhost:"+port,
		"--deals", strconv.Itoa(max(20, r.command.Deals)))
	r.parts.Start(ctx, "serve", "serve")
	for n := 1; n <= r.command.Workers; n++ {
		r.parts.Start(ctx, fmt.Sprintf("work-%d", n), "work")
	}
	if r.stores != nil {
		r.keeping.Go(func() { r.stores.Keep(ctx, r.storeStarted) })
	}
	return r.seed(ctx)
}

// storeStarted notes a store's process, which is started again like every other part.
func (r *running) storeStarted(name string, pid int, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %s: %v\n", name, err)
		return
	}
	r.mu.Lock()
	r.private[name] = pid
	ready := r.tenants != nil
	r.mu.Unlock()
	if ready {
		if err := r.writeReady(); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
	}
}

// openStores starts private stores where none are given.
func (r *running) openStores(ctx context.Context) error {
	database, redis := os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL")
	if database == "" || redis == "" {
		if err := stores.Discard(r.command.Dir); err != nil {
			return err
		}
		var err error
		if r.stores, err = stores.Start(ctx, stores.Options{Dir: r.command.Dir, Postgres: database == "", Redis: redis == ""}); err != nil {
			return err
		}
		if database == "" {
			database = r.stores.DatabaseURL
		}
		if redis == "" {
			redis = r.stores.RedisURL
		}
	}
	r.config.DatabaseURL, r.config.RedisURL = database, redis
	return nil
}

// configure chooses ports and makes the environment that the parts start with.
func (r *running) configure() error {
	app, err := freeAddress("8080")
	if err != nil {
		return err
	}
	standins, err := freeAddress("8090")
	if err != nil {
		return err
	}
	keyset := os.Getenv("SECRET_KEYSET")
	if keyset == "" {
		keyset = demo.Keyset
	}
	_, appPort, _ := net.SplitHostPort(app)
	_, port, _ := net.SplitHostPort(standins)
	r.appURL, r.standins = "http://localhost:"+appPort, "http://"+standins
	host := func(name string) string { return "http://" + name + ".localhost:" + port }
	r.apps = map[string]string{
		"DATABASE_URL": r.config.DatabaseURL, "REDIS_URL": r.config.RedisURL, "SECRET_KEYSET": keyset,
		"PUBLIC_URL": r.appURL, "LISTEN_ADDR": app,
		"BITRIX24_CLIENT_ID": demo.Bitrix24ID, "BITRIX24_CLIENT_SECRET": demo.Bitrix24Secret,
		"BITRIX24_AUTH_URL": host("oauth.bitrix.info") + "," + host("oauth.bitrix24.tech"),
		"AMOCRM_CLIENT_ID":  demo.AmoCRMID, "AMOCRM_CLIENT_SECRET": demo.AmoSecret, "AMOCRM_AUTH_URL": host("www.amocrm.ru"),
		"KOMMO_CLIENT_ID": demo.KommoID, "KOMMO_CLIENT_SECRET": demo.AmoSecret, "KOMMO_AUTH_URL": host("www.kommo.com"),
		"CRM_HOST_SUFFIXES": "bitrix24.com.localhost,oauth.bitrix.info.localhost,oauth.bitrix24.tech.localhost,amocrm.ru.localhost,kommo.com.localhost",
	}
	maps.Copy(r.apps, demo.AcquirerURLs(".localhost:"+port))
	r.config.Keyset = tenants.Secret(keyset)
	return nil
}

func (r *running) environment() []string {
	var env []string
	for name, value := range r.apps {
		env = append(env, name+"="+value)
	}
	return env
}

// freeAddress is 127.0.0.1 with the wanted port, or with another one when that is taken.
func freeAddress(port string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// seed waits until everything answers and brings the tenants in.
func (r *running) seed(ctx context.Context) error {
	client := demo.LoopbackClient(30 * time.Second)
	for _, url := range []string{r.appURL + "/readyz", demo.Controls(r.standins)[demo.Portal] + "/limits"} {
		if err := answers(ctx, client, url); err != nil {
			return err
		}
	}
	sealer, err := tenants.NewSealer(string(r.config.Keyset))
	if err != nil {
		return err
	}
	db, err := tenants.Open(ctx, r.config.DatabaseURL, 4, sealer)
	if err != nil {
		return err
	}
	defer db.Close()
	r.seeder = &demo.Seeder{DB: db, App: r.appURL, Controls: demo.Controls(r.standins), Client: client}
	seeded, err := r.seeder.Seed(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.tenants = seeded
	for _, p := range r.parts.Processes() {
		r.pids[p.Name] = p.PID
	}
	r.mu.Unlock()
	return r.writeReady()
}

func answers(ctx context.Context, client *http.Client, url string) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("demo: %s does not answer", url)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// changed rewrites the ready file; stand-ins that were started again have forgotten everything, so they are installed again.
func (r *running) changed(ctx context.Context) {
	r.mu.Lock()
	ready := r.tenants != nil
	forgot := false
	for _, p := range r.parts.Processes() {
		forgot = forgot || (ready && p.Name == "standins" && r.pids[p.Name] != p.PID)
		r.pids[p.Name] = p.PID
	}
	r.mu.Unlock()
	if !ready {
		return
	}
	if err := r.writeReady(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if forgot {
		go func() {
			err := answers(ctx, r.seeder.Client, r.seeder.Controls[demo.Portal]+"/limits")
			if err == nil {
				err = r.seeder.Install(ctx)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "demo: install again:", err)
			}
		}()
	}
}

// forgetReady removes the ready file: whoever waits for it must not read that of a demo that is gone.
func (r *running) forgetReady() error {
	if r.command.ReadyFile == "" {
		return nil
	}
	if err := os.Remove(r.command.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeReady replaces the ready file in one step.
func (r *running) writeReady() error {
	if r.command.ReadyFile == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	processes := r.parts.Processes()
	for name, pid := range r.private {
		processes = append(processes, demo.Process{Name: name, PID: pid})
	}
	raw, err := json.MarshalIndent(map[string]any{"app_url": r.appURL, "standins_url": r.standins, "database_url": r.config.DatabaseURL,
		"redis_url": r.config.RedisURL, "processes": processes, "tenants": r.tenants, "control": demo.Controls(r.standins)}, "", "  ")
	if err != nil {
		return err
	}
	temporary := r.command.ReadyFile + ".new"
	if err := os.WriteFile(temporary, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, r.command.ReadyFile)
}

func (r *running) print() {
	_, port, _ := net.SplitHostPort(r.standins[len("http://"):])
	fmt.Printf("\nDealpay is running. Open a CRM, choose a person, open a deal:\n\n")
	for _, t := range r.tenants {
		fmt.Printf("  %-9s http://%s.localhost:%s/\n", t.CRM, t.Account, port)
	}
	fmt.Printf("\nThe app is at %s, its API at %s/api/v1/openapi.yaml. Ctrl-C stops all.\n\n", r.appURL, r.appURL)
}

// smoke runs the command and ends with its result.
func (r *running) smoke(ctx context.Context) error {
	if r.command.ReadyFile == "" {
		r.command.ReadyFile = filepath.Join(r.command.Dir, "ready.json")
		if err := os.MkdirAll(r.command.Dir, 0o750); err != nil {
			return err
		}
		if err := r.writeReady(); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", r.command.Smoke+` "$0"`, r.command.ReadyFile)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return errors.New("the smoke run failed")
	}
	return nil
}

func (r *running) close(stop context.CancelFunc) {
	stop()
	if r.parts != nil {
		r.parts.Wait()
	}
	r.keeping.Wait()
	if r.stores != nil {
		if err := r.stores.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
	}
}
