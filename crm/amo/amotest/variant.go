package amotest

// Variant is one of the two products that share amoCRM's code.
type Variant struct {
	Name    string // "amocrm" or "kommo"; also the first path segment of our application's hooks
	Title   string // as people read it
	Zone    string // "amocrm.ru" or "kommo.com"
	APIHost string // shared API host, named in each access token's api_domain claim
	Lang    string // language of the accounts and of error texts

	// PerIP limits requests by source address (7 per second) instead of by integration
	// and account (7) and by account (50).
	PerIP bool
	// Global is the front end's global object; APP exists in both.
	Global string
	// Locales are the languages a widget's manifest may list.
	Locales []string
	// Locations are widget locations that exist only here.
	Locations []string

	firstAccount int64 // id of the first account
	country      string
}

// The two products.
var (
	AmoCRM = Variant{Name: "amocrm", Title: "amoCRM", Zone: "amocrm.ru", APIHost: "api-b.amocrm.ru", Lang: "ru",
		Global: "AMOCRM", Locales: []string{"ru", "en", "es", "pt", "tr", "id"},
		Locations: []string{"cucard", "culist", "whatsapp_modal"}, firstAccount: 31234567, country: "AM"}
	Kommo = Variant{Name: "kommo", Title: "Kommo", Zone: "kommo.com", APIHost: "api-c.kommo.com", Lang: "en",
		Global: "APP", PerIP: true, Locales: []string{"en", "es", "pt", "tr", "id"},
		Locations: []string{"widget_page", "ai_agent", "website_chat_button"}, firstAccount: 32720107, country: "AM"}
)

// words are the error texts of a product's accounts.
type words struct {
	login, oauthTitle, oauthDetail, oauthType string
	throttled                                 string
}

var texts = map[string]words{
	"amocrm": {login: "Неверный логин или пароль", oauthTitle: "Некорректный запрос",
		oauthDetail: "В запросе отсутствует ряд параметров или параметры невалидны",
		oauthType:   "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
		throttled:   "Слишком много запросов. Повторите попытку позже."},
	"kommo": {login: "Invalid user name or password", oauthTitle: "Bad Request",
		oauthDetail: "The request is missing a required parameter or a parameter is invalid",
		oauthType:   "https://developers.kommo.com/v3/errors/OAuthProblemJson",
		throttled:   "You have sent too many requests in a given amount of time. Please try again later."},
}

func (v Variant) words() words { return texts[v.Name] }
