package amo

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dealpay/dealpay/crm"
)

// AccountInfo is who has connected, as the CRM says it right after the code was exchanged.
type AccountInfo struct {
	ID        string // permanent
	Subdomain string // changes when the account is renamed
	Name      string
	Currency  string // ISO 4217; empty when the CRM does not say
	Country   string // ISO 3166
	Timezone  string // IANA name; empty when the CRM does not say
	UserID    string // whose token this is
	UserName  string
	Lang      string // of that user, "ru"
	Admin     bool   // only an administrator's grant may serve the whole account
}

// AccountInfo asks whose token this is (amocrm.ru "Account parameters", "Users").
func (a *Account) AccountInfo(ctx context.Context) (AccountInfo, error) {
	acc, err := a.account(ctx)
	if err != nil {
		return AccountInfo{}, err
	}
	u, err := a.User(ctx, string(acc.CurrentUser))
	if err != nil {
		return AccountInfo{}, err
	}
	return AccountInfo{ID: string(acc.ID), Subdomain: string(acc.Subdomain), Name: string(acc.Name),
		Currency: string(acc.Currency), Country: string(acc.Country), Timezone: string(acc.Embedded.Times.Timezone),
		UserID: u.ID, UserName: u.Name, Lang: u.Lang, Admin: u.Admin}, nil
}

type account struct {
	ID          scalar `json:"id"`
	Name        scalar `json:"name"`
	Subdomain   scalar `json:"subdomain"`
	Country     scalar `json:"country"`
	Currency    scalar `json:"currency"`
	CurrentUser scalar `json:"current_user_id"`
	Embedded    struct {
		Times struct {
			Timezone scalar `json:"timezone"`
		} `json:"datetime_settings"`
	} `json:"_embedded"`
}

func (a *Account) account(ctx context.Context) (account, error) {
	c := call{method: http.MethodGet, path: "/account", query: url.Values{"with": {"datetime_settings"}}}
	var got account
	if err := a.do(ctx, c, &got); err != nil {
		return account{}, err
	}
	if got.ID == "" {
		return account{}, gone(c.op())
	}
	return got, nil
}

// User is one of the account's users.
type User struct {
	ID, Name, Lang string
	Admin          bool
	Active         bool // may sign in and has a licence

	rights rights
}

// rights are letters: A all, G the user's group, M the user's own, D none (amocrm.ru "Users").
type rights struct {
	Leads    view         `json:"leads"`
	ByStatus []statusView `json:"status_rights"`
	Admin    bool         `json:"is_admin"`
	Free     bool         `json:"is_free"`
	Active   *bool        `json:"is_active"`
	Group    scalar       `json:"group_id"`
}

type view struct {
	View scalar `json:"view"`
}

type statusView struct {
	Entity   string `json:"entity_type"`
	Pipeline scalar `json:"pipeline_id"`
	Status   scalar `json:"status_id"`
	Rights   view   `json:"rights"`
}

// User reads a user and the user's rights. Class Gone: there is no such user.
func (a *Account) User(ctx context.Context, id string) (User, error) {
	c := call{method: http.MethodGet, path: "/users/" + id}
	if !isID(id) {
		return User{}, gone(c.op())
	}
	var got struct {
		ID     scalar `json:"id"`
		Name   scalar `json:"name"`
		Lang   scalar `json:"lang"`
		Rights rights `json:"rights"`
	}
	if err := a.do(ctx, c, &got); err != nil {
		return User{}, a.doubt(ctx, err)
	}
	if got.ID == "" {
		return User{}, gone(c.op())
	}
	r := got.Rights
	return User{ID: string(got.ID), Name: string(got.Name), Lang: string(got.Lang), Admin: r.Admin, rights: r,
		Active: !r.Free && (r.Active == nil || *r.Active)}, nil
}

// sees says whether the user's rights reach this lead. A right given for the lead's stage goes before the general
// one.
func (u User) sees(l lead) bool {
	if !u.Active {
		return false
	}
	letter := u.rights.Leads.View
	for _, s := range u.rights.ByStatus {
		if s.Entity == "leads" && s.Pipeline == l.Pipeline && s.Status == l.Status && s.Rights.View != "" {
			letter = s.Rights.View
		}
	}
	own := string(l.Responsible) == u.ID
	switch {
	case u.Admin, letter == "A":
		return true
	case letter == "G":
		return own || group(u.rights.Group) == group(l.Group)
	case letter == "M":
		return own
	}
	return false
}

// group is a group's id; users outside every group are in the first one, 0.
func group(id scalar) scalar {
	if id == "" {
		return "0"
	}
	return id
}

// DealAs reads a deal for one of the account's users. The CRM is asked to apply the user's rights itself
// (X-Context-User-ID), and the rights it lists for the user are applied here as well, because nothing promises
// that every tariff honours the header.
func (a *Account) DealAs(ctx context.Context, userID, dealID string) (crm.Deal, error) {
	const op = "deal as user"
	u, err := a.User(ctx, userID)
	switch {
	case err != nil && crm.ClassOf(err) == crm.Gone:
		return crm.Deal{}, refusal(op, "no_user")
	case err != nil:
		return crm.Deal{}, err
	case !u.Active || !u.Admin && u.rights.none():
		return crm.Deal{}, refusal(op, "no_rights")
	}
	l, err := a.lead(ctx, dealID, userID)
	if err != nil {
		return crm.Deal{}, err
	}
	if !u.sees(l) {
		return crm.Deal{}, refusal(op, "no_rights")
	}
	return a.deal(ctx, l)
}

// none says that no lead at all can be visible, so that a user without rights cannot tell which deals exist.
func (r rights) none() bool {
	if r.Leads.View != "D" && r.Leads.View != "" {
		return false
	}
	for _, s := range r.ByStatus {
		if s.Rights.View != "D" && s.Rights.View != "" {
			return false
		}
	}
	return true
}

// CurrentDomain asks the shared API host under which name the account answers now. It is the way back after a
// rename, when the token endpoint at the old name is gone; the vendor's own client does the same. The answer must
// still pass the allow-list before anything is sent there.
func (a *Account) CurrentDomain(ctx context.Context, refreshToken string) (string, error) {
	const op = "GET /oauth2/account/current/subdomain"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin(a.cfg.APIDomain)+"/oauth2/account/current/subdomain", nil)
	if err != nil || a.cfg.APIDomain == "" {
		return "", refusal(op, "no_api_domain")
	}
	req.Header.Set("X-Refresh-Token", refreshToken)
	var got struct {
		Domain string `json:"domain"`
	}
	if err := a.exchange(req, op, false, &got); err != nil {
		return "", err
	}
	if got.Domain == "" {
		return "", gone(op)
	}
	return got.Domain, nil
}
