package amo

import (
	"net"
	"regexp"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

// Variant is one of the two products that share this code: the same REST v4, OAuth, widgets and webhooks under
// different names.
type Variant struct {
	System       crm.System
	Zone         string   // accounts are hosts of the form <subdomain>.<Zone>
	OtherZones   []string // zones of accounts older than the product's present name
	AuthorizeURL string   // consent page (amocrm.ru "OAuth 2.0"; Kommo "OAuth 2.0")
}

// The variants.
var (
	AmoCRM = Variant{System: crm.AmoCRM, Zone: "amocrm.ru", OtherZones: []string{"amocrm.com"},
		AuthorizeURL: "https://www.amocrm.ru/oauth"}
	Kommo = Variant{System: crm.Kommo, Zone: "kommo.com", AuthorizeURL: "https://www.kommo.com/oauth"}
)

var label = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// Owns reports whether host is that of an account of this product. The host comes from outside (a redirect's
// referer, a token's iss) and gets our secrets, so neither a port nor a deeper name passes.
func (v Variant) Owns(host string) bool {
	sub, zone, _ := strings.Cut(host, ".")
	if !label.MatchString(sub) || sub == "www" {
		return false
	}
	for _, z := range append([]string{v.Zone}, v.OtherZones...) {
		if zone == z {
			return true
		}
	}
	return false
}

// origin is the scheme and host under which an account answers. Names under localhost are stand-ins on loopback
// and speak plain HTTP; everything else speaks HTTPS.
func origin(host string) string {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.HasSuffix(name, ".localhost") {
		return "http://" + host
	}
	return "https://" + host
}
