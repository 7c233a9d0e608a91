package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/app/demo/bench"
	"github.com/dealpay/dealpay/tenants"
)

type benchCommand struct {
	Out   string   `default:"bench/out.jsonl" help:"Where to write one JSON object a line."`
	Only  []string `help:"Measure only these names."`
	Quick bool     `help:"Smaller numbers, for a look."`
	Dir   string   `default:".dealpay/bench" help:"Where private stores keep their data; emptied at the start."`
}

// Run starts a demo with three workers and measures it.
func (b benchCommand) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := os.MkdirAll(filepath.Dir(b.Out), 0o755); err != nil { //nolint:gosec // a report, for everybody
		return err
	}
	lines, err := os.Create(b.Out)
	if err != nil {
		return err
	}
	defer func() { _ = lines.Close() }()
	deals := 10_000
	if b.Quick {
		deals = 3_000
	}
	r := newRunning(demoCommand{Workers: 3, Dir: b.Dir, Deals: deals, ReadyFile: filepath.Join(b.Dir, "ready.json")})
	defer r.close(stop)
	site, err := r.site(ctx)
	if err != nil {
		return err
	}
	defer site.DB.Close()
	site.Quick = b.Quick
	return bench.Run(ctx, site, b.Only, os.Stdout, lines)
}

// site starts the demo, quietly, and opens what a measurement needs of it.
func (r *running) site(ctx context.Context) (*bench.Site, error) {
	if os.Getenv("LOG_LEVEL") == "" {
		_ = os.Setenv("LOG_LEVEL", "error") // the parts read it too
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	sealer, err := tenants.NewSealer(string(r.config.Keyset))
	if err != nil {
		return nil, err
	}
	db, err := tenants.Open(ctx, r.config.DatabaseURL, 16, sealer)
	if err != nil {
		return nil, err
	}
	return &bench.Site{App: r.appURL, Stands: r.standins, Client: demo.LoopbackClient(2 * time.Minute), DB: db, Database: r.config.DatabaseURL,
		Redis: r.config.RedisURL, Ready: r.command.ReadyFile, Tenants: r.tenants, Deals: r.command.Deals}, nil
}
