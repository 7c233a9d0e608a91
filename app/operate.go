package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/dealpay/dealpay/migrations"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/stores"
	"github.com/dealpay/dealpay/widgets/archive"
	"github.com/redis/go-redis/v9"
)

type archiveCommand struct {
	Product string `arg:"" enum:"amocrm,kommo" help:"amocrm or kommo."`
	Output  string `short:"o" required:"" help:"The file to write."`
}

// Run builds the widget archive for PUBLIC_URL.
func (a archiveCommand) Run() error {
	public := strings.TrimSuffix(os.Getenv("PUBLIC_URL"), "/")
	if err := checkPublicURL(public); err != nil {
		return fmt.Errorf("the widget needs the address of this deployment: %w", err)
	}
	product := archive.AmoCRM
	if a.Product == "kommo" {
		product = archive.Kommo
	}
	zip, err := archive.Build(product, public, archiveVersion())
	if err != nil {
		return err
	}
	return os.WriteFile(a.Output, zip, 0o644) //nolint:gosec // the archive is public
}

// archiveVersion is what the marketplaces accept: three numbers.
func archiveVersion() string {
	var a, b, c int
	if n, _ := fmt.Sscanf(version, "v%d.%d.%d", &a, &b, &c); n != 3 {
		return "1.0.0"
	}
	return fmt.Sprintf("%d.%d.%d", a, b, c)
}

type rotateKeysCommand struct{}

// Run prints a keyset: the present one with a fresh newest key, or a first one.
func (rotateKeysCommand) Run() error {
	keyset, err := tenants.NewKeyset()
	if present := os.Getenv("SECRET_KEYSET"); present != "" {
		keyset, err = tenants.Rotate(present)
	}
	if err != nil {
		return err
	}
	fmt.Println(keyset)
	fmt.Fprintln(os.Stderr, "Set SECRET_KEYSET to this everywhere and restart. Older keys stay in it and still open what they sealed.")
	return nil
}

type replayCommand struct {
	Tenant string  `required:"" help:"The tenant's id."`
	IDs    []int64 `arg:"" optional:"" help:"Failed promises; all of the tenant's when none is given."`
}

// Run promises failed work again.
func (r replayCommand) Run(ctx context.Context) error {
	return withHouse(ctx, func(ctx context.Context, h *house) error {
		id, err := tenants.Restore(r.Tenant)
		if err != nil {
			return fmt.Errorf("--tenant: expected a UUID: %w", err)
		}
		return h.db.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			n, err := outbox.Replay(ctx, tx, r.IDs, h.now())
			if err == nil {
				fmt.Println(n, "promised again")
				err = tx.Audit(ctx, tenants.Entry{At: h.now(), Actor: tenants.Operator, Action: "work.replayed"}, map[string]int{"promises": n})
			}
			return err
		})
	})
}

type doctorCommand struct{}

// Run checks what can be checked before serving, and says what to fix.
func (doctorCommand) Run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	bad := 0
	say := func(what string, err error, fix string) {
		if err == nil {
			fmt.Println("ok   ", what)
			return
		}
		bad++
		fmt.Printf("FIX   %s: %v\n      %s\n", what, err, fix)
	}
	pending, err := migrations.Pending(ctx, c.DatabaseURL)
	say("PostgreSQL answers", err, "Check DATABASE_URL and that the server runs.")
	if err == nil && pending {
		err = errors.New("the schema is older than this program")
		say("schema", err, "Run dealpay migrate.")
	} else if err == nil {
		h, err := build(ctx, c)
		if err == nil {
			defer h.close()
			err = h.db.Ping(ctx)
			say("the app's role can be used", err, "The user of DATABASE_URL must be a member of dealpay_app and dealpay_relay; dealpay migrate grants it.")
			say("the keyset is that of the database", h.unlocks(ctx), "Look for the keyset that this database was used with. What is sealed is lost without it.")
			say("clocks", clocks(ctx, h), "Run a time daemon on every machine: sessions, leases and signatures depend on the time.")
		} else {
			say("wiring", err, "See the message.")
		}
	}
	say("Redis answers", redisAnswers(ctx, c.RedisURL), "Check REDIS_URL and that the server runs. Payments go on without it; the CRM waits.")
	say("a CRM is offered", c.offered(), "Register the app with a CRM and set its id and secret.")
	for name, app := range c.apps() {
		if app.ClientID == "" {
			fmt.Printf("note  %s_CLIENT_ID is not set: this CRM cannot be installed\n", name)
		}
	}
	fmt.Println("note  CRM hosts that may be called:", strings.Join(c.CRMHosts, ", "))
	if u, _ := url.Parse(c.PublicURL); u.Scheme != "https" {
		fmt.Println("note  PUBLIC_URL is plain http: only for trying things out")
	}
	if bad > 0 {
		return fmt.Errorf("%d things to fix", bad)
	}
	return nil
}

func redisAnswers(ctx context.Context, address string) error {
	options, err := redis.ParseURL(address)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	return client.Ping(ctx).Err()
}

// clocks compares this machine's clock with Redis's.
func clocks(ctx context.Context, h *house) error {
	theirs, err := h.redis.Time(ctx).Result()
	if err != nil {
		return nil //nolint:nilerr // that Redis is away is said elsewhere
	}
	if off := h.now().Sub(theirs).Abs(); off > 2*time.Second {
		return fmt.Errorf("this machine and Redis differ by %s", off.Round(time.Millisecond))
	}
	return nil
}

type withStoresCommand struct {
	Dir     string   `default:".dealpay/test" help:"Where the stores keep their logs, and their data unless there is room in memory; emptied at the start."`
	Command []string `arg:"" passthrough:"" help:"What to run."`
}

// Run runs a command with DEALPAY_TEST_DATABASE_URL and DEALPAY_TEST_REDIS_URL set, so that many test programs share
// one pair of stores.
func (w withStoresCommand) Run(ctx context.Context) error {
	if err := stores.Discard(w.Dir); err != nil {
		return err
	}
	s, err := stores.Start(ctx, stores.Options{Dir: w.Dir, Postgres: true, Redis: true, Fast: true, Memory: true})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	command := w.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return errors.New("give a command to run")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "DEALPAY_TEST_DATABASE_URL="+s.DatabaseURL, "DEALPAY_TEST_REDIS_URL="+s.RedisURL)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

type discardCommand struct {
	Dirs []string `arg:"" help:"Directories of stopped private stores."`
}

// Run removes what private stores left behind.
func (d discardCommand) Run() error {
	var all []error
	for _, dir := range d.Dirs {
		all = append(all, stores.Discard(dir))
	}
	return errors.Join(all...)
}
