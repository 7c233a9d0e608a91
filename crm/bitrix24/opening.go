package bitrix24

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

const mostForm = 64 << 10 // of a POST that a portal or its frame sends

// opening is the POST by which a portal's page opens ours (vendor documentation "Widgets: what the handler
// receives"), read but not believed. Everything in it can be forged.
type opening struct {
	Domain    string // host of the portal
	Lang      string
	Token     string
	Refresh   string
	Expires   time.Duration
	Server    string // base of the authorization server, "" when the portal did not name it
	AppToken  string
	Scope     string
	Member    string
	Status    string
	Placement string
	Deal      string // from PLACEMENT_OPTIONS
}

var (
	hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
	tokenish = regexp.MustCompile(`^[A-Za-z0-9._:~-]{8,512}$`)
	memberID = regexp.MustCompile(`^[A-Za-z0-9]{8,64}$`)
	port     = regexp.MustCompile(`:[0-9]{1,5}$`)
)

func forged(format string, args ...any) error {
	return fmt.Errorf("bitrix24: %s: %w", fmt.Sprintf(format, args...), crm.ErrForged)
}

// form reads a POST of bounded size.
func form(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost || r.Body == nil {
		return nil, errors.New("no POST")
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, mostForm+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > mostForm {
		return nil, errors.New("body is too large")
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, errors.New("body is no form")
	}
	return values, nil
}

// readOpening checks the shape of an opening.
func readOpening(r *http.Request) (opening, error) {
	body, err := form(r)
	if err != nil {
		return opening{}, forged("%v", err)
	}
	// The query carries DOMAIN, PROTOCOL, LANG and APP_SID, the body the rest; only DOMAIN is needed of the query.
	query := r.URL.Query()
	o := opening{Domain: query.Get("DOMAIN"), Lang: Language(query.Get("LANG")), Token: body.Get("AUTH_ID"),
		Refresh: body.Get("REFRESH_ID"), AppToken: body.Get("APPLICATION_TOKEN"), Scope: body.Get("APPLICATION_SCOPE"),
		Member: body.Get("member_id"), Status: body.Get("status"), Placement: body.Get("PLACEMENT")}
	if o.Domain, err = cleanHost(o.Domain); err != nil {
		return opening{}, err
	}
	if query.Get("PROTOCOL") != "1" && !local(o.Domain) {
		return opening{}, forged("PROTOCOL is not https")
	}
	if !tokenish.MatchString(o.Token) || o.Refresh != "" && !tokenish.MatchString(o.Refresh) {
		return opening{}, forged("AUTH_ID or REFRESH_ID is missing or odd")
	}
	if o.AppToken != "" && !tokenish.MatchString(o.AppToken) {
		return opening{}, forged("APPLICATION_TOKEN is odd")
	}
	if !memberID.MatchString(o.Member) {
		return opening{}, forged("member_id is missing or odd")
	}
	if o.Server, err = serverBase(body.Get("SERVER_ENDPOINT")); err != nil {
		return opening{}, err
	}
	seconds := text(body.Get("AUTH_EXPIRES")).int()
	o.Expires = time.Duration(min(max(seconds, 0), 24*3600)) * time.Second
	if strings.HasPrefix(o.Placement, "CRM_DEAL_") {
		o.Deal = dealOf(body.Get("PLACEMENT_OPTIONS"))
	}
	return o, nil
}

// cleanHost accepts a plain host name: no address, no path, no user, and no port but the standard ones, which old
// portals append. Names under .localhost, which never leave the machine, may have any port.
func cleanHost(host string) (string, error) {
	host = strings.ToLower(host)
	name := port.ReplaceAllString(host, "")
	if len(name) > 253 || !hostName.MatchString(name) || net.ParseIP(name) != nil {
		return "", forged("DOMAIN is no host name")
	}
	if local(name) || name == host {
		return host, nil
	}
	if p := strings.TrimPrefix(host, name); p != ":443" && p != ":80" {
		return "", forged("DOMAIN has a port")
	}
	return name, nil
}

func local(host string) bool {
	return strings.HasSuffix(port.ReplaceAllString(host, ""), ".localhost")
}

// serverBase is scheme and host of a SERVER_ENDPOINT.
func serverBase(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || !plainHTTPAllowed(u) || u.Host == "" {
		return "", forged("SERVER_ENDPOINT is odd")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// dealOf reads the deal's id out of PLACEMENT_OPTIONS: ID in most placements, ENTITY_ID in some.
func dealOf(options string) string {
	var o object
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return ""
	}
	for _, key := range []string{"ID", "ENTITY_ID"} {
		if id := o.text(key); isID(id) {
			return id
		}
	}
	return ""
}
