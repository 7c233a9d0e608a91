package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// complaints are what is wrong with the environment, each with the variable's name and what is expected.
type complaints []error

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

func (c config) check() error {
	var all complaints
	c.checkStores(&all)
	if err := checkPublicURL(c.PublicURL); err != nil {
		all = append(all, err)
	}
	if _, port, err := net.SplitHostPort(c.ListenAddr); err != nil || !isPort(port) {
		all.add("LISTEN_ADDR is %q: expected host:port, such as 127.0.0.1:8080 or :8080", c.ListenAddr)
	}
	if _, err := tenants.NewSealer(string(c.Keyset)); err != nil {
		all = append(all, err)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		all.add("LOG_LEVEL is %q: expected debug, info, warn or error", c.LogLevel)
	}
	if c.Concurrency < 1 || c.Concurrency > 1000 {
		all.add("WORK_CONCURRENCY is %d: expected 1 to 1000", c.Concurrency)
	}
	if c.DBConns < 2 || c.DBConns > 1000 {
		all.add("DATABASE_CONNS is %d: expected 2 to 1000", c.DBConns)
	}
	c.checkCRMs(&all)
	c.Acquirers.check(c.VposAmURL, &all)
	return errors.Join(all...)
}

// checkStores never shows an address: it may hold a password.
func (c config) checkStores(all *complaints) {
	scheme, _, _ := strings.Cut(c.DatabaseURL, "://")
	if _, err := pgx.ParseConfig(c.DatabaseURL); err != nil || (scheme != "postgres" && scheme != "postgresql") {
		all.add("DATABASE_URL is %s: expected postgres://owner:password@host:port/database", lacking(c.DatabaseURL))
	}
	scheme, _, _ = strings.Cut(c.RedisURL, "://")
	if _, err := redis.ParseURL(c.RedisURL); err != nil || (scheme != "redis" && scheme != "rediss") {
		all.add("REDIS_URL is %s: expected redis://:password@host:port/0", lacking(c.RedisURL))
	}
}

func lacking(value string) string {
	if value == "" {
		return "missing"
	}
	return "no such address"
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// checkPublicURL refuses what is not the address of a deployment.
func checkPublicURL(text string) error {
	const wanted = "expected https://host without a path (plain http only for localhost)"
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("PUBLIC_URL is missing: " + wanted)
	case err != nil || !secure(u) || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("PUBLIC_URL is %q: %s", text, wanted)
	}
	return nil
}

// secure says whether an address is https, or on this machine.
func secure(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || (u.Scheme == "http" && loopback(u)))
}

func loopback(u *url.URL) bool {
	host := u.Hostname()
	return host == "localhost" || host == "127.0.0.1" || strings.HasSuffix(host, ".localhost")
}

// apps are the registrations with the CRMs by what their variables begin with.
func (c config) apps() map[string]oauthApp {
	return map[string]oauthApp{"BITRIX24": c.Bitrix24, "AMOCRM": c.AmoCRM, "KOMMO": c.Kommo}
}

// checkCRMs complains about half a registration. A CRM of which nothing is set is not offered.
func (c config) checkCRMs(all *complaints) {
	hosts, err := egress.Parse(c.CRMHosts)
	if err != nil {
		all.add("CRM_HOST_SUFFIXES: %w", err)
	}
	apps := c.apps()
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		app := apps[name]
		if app == (oauthApp{}) {
			continue
		}
		for variable, value := range map[string]string{"ID": app.ClientID, "SECRET": string(app.ClientSecret)} {
			if value == "" {
				all.add("%s_CLIENT_%s is missing: expected %s_CLIENT_ID and %s_CLIENT_SECRET together, or no variable of %s at all", name, variable, name, name, name)
			}
		}
		for address := range strings.SplitSeq(app.AuthURL, ",") {
			u, bad := url.Parse(strings.TrimSpace(address))
			switch {
			case app.AuthURL == "":
			case bad != nil || !secure(u):
				all.add("%s_AUTH_URL is %q: expected the https address of the authorization server", name, app.AuthURL)
			case err == nil && !hosts.Allows(u.Host):
				all.add("%s_AUTH_URL is %q: expected a host that is in CRM_HOST_SUFFIXES", name, app.AuthURL)
			}
		}
	}
}

// offered complains when no CRM can be installed: then there is nothing to serve and nothing to work on.
func (c config) offered() error {
	if cmp.Or(c.Bitrix24.ClientID, c.AmoCRM.ClientID, c.Kommo.ClientID) != "" {
		return nil
	}
	return errors.New("BITRIX24_CLIENT_ID, AMOCRM_CLIENT_ID and KOMMO_CLIENT_ID are missing: expected at least one of them, with its …_CLIENT_SECRET")
}

// check complains about addresses that cannot be an acquirer's.
func (a acquirerURLs) check(vposam string, complain *complaints) {
	all := map[string]string{"VPOS_AM_URL": vposam, "AMERIA_TEST_URL": a.AmeriaTest, "AMERIA_LIVE_URL": a.AmeriaLive, "IDRAM_URL": a.Idram, "TELCELL_TEST_URL": a.TelcellTest,
		"TELCELL_LIVE_URL": a.TelcellLive, "TELCELL_PAGE_URL": a.TelcellPage, "STRIPE_URL": a.Stripe, "FASTSHIFT_URL": a.FastShift}
	for name, base := range a.Arca {
		all["ARCA_GATEWAYS "+name] = base
	}
	for name, base := range all {
		if u, err := url.Parse(base); base != "" && (err != nil || !secure(u)) {
			complain.add("%s is %q: expected an https address", name, base)
		}
	}
}
