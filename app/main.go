// Command dealpay is the whole program: the HTTP server, the workers, and what operators need.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/dealpay/dealpay/migrations"
	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

type commands struct {
	Serve      serveCommand      `cmd:"" help:"Answer HTTP."`
	Work       workCommand       `cmd:"" help:"Keep promises; start as many as wanted."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database to the newest schema."`
	Demo       demoCommand       `cmd:"" help:"Start everything on loopback, with stand-ins for the CRMs and the acquirer."`
	Standins   standinsCommand   `cmd:"" help:"Start only the stand-ins; print their addresses as one JSON line."`
	Archive    archiveCommand    `cmd:"" help:"Build the widget archive for amoCRM's or Kommo's marketplace."`
	Doctor     doctorCommand     `cmd:"" help:"Check configuration, stores and clocks; say what to fix."`
	RotateKeys rotateKeysCommand `cmd:"" help:"Print a keyset with a fresh newest key for SECRET_KEYSET."`
	Replay     replayCommand     `cmd:"" help:"Promise failed work of a tenant again."`
	WithStores withStoresCommand `cmd:"" hidden:"" help:"Run a command with private stores in its environment."`
	Discard    discardCommand    `cmd:"" hidden:"" help:"Remove private stores."`
	Bench      benchCommand      `cmd:"" hidden:"" help:"Measure against baselines."`
	Chaos      chaosCommand      `cmd:"" hidden:"" help:"Break a demo while people pay, and compare everybody's books."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	redis.SetLogger(silence{})
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dealpay:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	parsed := kong.Parse(&c, kong.Name("dealpay"), kong.Description("Payments inside the CRM, verified with the acquirer."),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.UsageOnError())
	return parsed.Run()
}

// silence keeps go-redis from printing a line for every failed dial; the house says itself what it could not do.
type silence struct{}

// Printf prints nothing.
func (silence) Printf(context.Context, string, ...any) {}

// withHouse builds the house from the environment, runs fn and closes it.
func withHouse(ctx context.Context, fn func(context.Context, *house) error) error {
	c, err := readConfig()
	if err == nil {
		err = c.offered()
	}
	if err != nil {
		return err
	}
	h, err := build(ctx, c)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.unlocks(ctx); err != nil {
		return err
	}
	return fn(ctx, h)
}

type serveCommand struct{}

// Run answers HTTP.
func (serveCommand) Run(ctx context.Context) error {
	return withHouse(ctx, func(ctx context.Context, h *house) error { return h.serve(ctx) })
}

type workCommand struct{}

// Run keeps promises.
func (workCommand) Run(ctx context.Context) error {
	return withHouse(ctx, func(ctx context.Context, h *house) error { return h.work(ctx) })
}

type migrateCommand struct{}

// Run migrates.
func (migrateCommand) Run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	return migrations.Up(ctx, c.DatabaseURL)
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	fmt.Println(version)
	return nil
}
