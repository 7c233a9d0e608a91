package amotest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// installPatience is how long the marketplace waits for the install hook, which it never
// repeats ("OAuth 2.0": webhook about the installation).
const installPatience = 3 * time.Second

// Install does what an administrator's press of Install does: the integration counts as
// installed, and the CRM's server calls the redirect URI once with code, referer, client_id
// and from_widget, within 3 s. The answer's status is not checked; an error means that the
// hook was not answered and will not be repeated. client nil means the server's own.
func (a *Account) Install(ctx context.Context, client *http.Client) error {
	a.mu.Lock()
	a.installed = true
	c := a.newCode(AdminID)
	a.mu.Unlock()
	target, err := a.redirect(url.Values{"code": {c}, "referer": {a.Referer()}, "from_widget": {"1"}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	_, err = a.server.send(ctx, req, installPatience, client)
	return err
}

// redirect is the redirect URI with the given parameters and our client id.
func (a *Account) redirect(query url.Values) (string, error) {
	target, err := url.Parse(a.server.config.RedirectURI)
	if err != nil {
		return "", err
	}
	query.Set("client_id", a.server.config.ClientID)
	for key, values := range target.Query() {
		query[key] = values
	}
	target.RawQuery = query.Encode()
	return target.String(), nil
}

// Allow is what the consent page does when a user presses Allow: it returns where the browser
// is sent. Only an administrator can install; others may follow once it is installed.
func (a *Account) Allow(userID int64, state string) (string, error) {
	a.mu.Lock()
	u := a.user(userID)
	if u == nil || !u.admin && !a.installed {
		a.mu.Unlock()
		return "", errors.New("only an administrator can install the integration")
	}
	a.installed = true
	query := url.Values{"code": {a.newCode(userID)}}
	a.mu.Unlock()
	query.Set("referer", a.Referer())
	if state != "" {
		query.Set("state", state)
	}
	return a.redirect(query)
}

// Deny is the consent page's other button.
func (a *Account) Deny(state string) (string, error) {
	query := url.Values{"error": {"access_denied"}}
	if state != "" {
		query.Set("state", state)
	}
	return a.redirect(query)
}

// Connect is a person's way through <AppURL>/<variant>/connect: our application sends the
// browser to the consent page with a state, the user allows, the browser comes back with it.
// A client without a cookie jar gets one. An answer of 400 or more is an error.
func (a *Account) Connect(ctx context.Context, client *http.Client, userID int64) error {
	browser := *a.server.config.HTTP
	if client != nil {
		browser = *client
	}
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if browser.Jar == nil {
		browser.Jar, _ = cookiejar.New(nil)
	}
	c := a.server.config
	there, err := visit(ctx, &browser, c.AppURL+"/"+c.Variant.Name+"/connect")
	if err != nil {
		return err
	}
	consent := there.Query()
	if plainHost(there.Host) != "www."+c.Variant.Zone || consent.Get("client_id") != c.ClientID {
		return fmt.Errorf("connect leads to %s%s, not to the consent page with our client_id", there.Host, there.Path)
	}
	back, err := a.Allow(userID, consent.Get("state"))
	if err != nil {
		return err
	}
	_, err = visit(ctx, &browser, back)
	return err
}

// visit gets a page and returns where it redirects to, the page itself when it does not.
func visit(ctx context.Context, browser *http.Client, page string) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	answer, err := browser.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s%s answered %s", req.URL.Host, req.URL.Path, answer.Status)
	}
	if target, err := answer.Location(); err == nil {
		return target, nil
	}
	return req.URL, nil
}

// Signature signs the disable hook: hex HMAC-SHA256 of "client_uuid|account_id" with the
// client secret ("OAuth 2.0": webhook about disabling).
func (a *Account) Signature() string {
	mac := hmac.New(sha256.New, []byte(a.server.config.ClientSecret))
	_, _ = fmt.Fprintf(mac, "%s|%d", a.server.config.ClientID, a.ID)
	return hex.EncodeToString(mac.Sum(nil))
}

// Uninstall disables the integration: tokens die, then the disable hook goes out once. A
// signature of "bad" forges the hook and "missing" leaves the signature out; neither changes
// the account. A "forge" fault forges too, "duplicate" sends it twice.
func (a *Account) Uninstall(ctx context.Context, signature string) error {
	if _, ok := a.Control.Take(standintest.Forge, "GET uninstall"); ok {
		signature = "bad"
	}
	query := url.Values{"client_uuid": {a.server.config.ClientID}, "account_id": {fmt.Sprint(a.ID)}, "signature": {a.Signature()}}
	switch signature {
	case "bad":
		query.Set("signature", strings.Repeat("0", 64))
	case "missing":
		query.Del("signature")
	default:
		a.mu.Lock()
		a.installed = false
		a.revoke()
		a.mu.Unlock()
	}
	times := 1
	if _, ok := a.Control.Take(standintest.Duplicate, "GET uninstall"); ok {
		times = 2
	}
	var failed error
	for range times {
		failed = errors.Join(failed, a.sendDisable(ctx, query))
	}
	return failed
}

func (a *Account) sendDisable(ctx context.Context, query url.Values) error {
	c := a.server.config
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.AppURL+"/"+c.Variant.Name+"/uninstall?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "amoService-oAuth-Code-Sender/1.0")
	_, err = a.server.send(ctx, req, installPatience, nil)
	return err
}

// Replay sends the disable hook of an earlier uninstall again, correctly signed, without
// disabling anything.
func (a *Account) Replay(ctx context.Context) error {
	return a.sendDisable(ctx, url.Values{"client_uuid": {a.server.config.ClientID}, "account_id": {fmt.Sprint(a.ID)},
		"signature": {a.Signature()}})
}
