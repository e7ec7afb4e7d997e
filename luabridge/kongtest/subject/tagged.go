package main

import "github.com/kongring/kongring/server/pdk"

// tagged has every tag of a schema but for those of limited.
type tagged struct {
	_ struct{} `kong:"protocols=http|https,at_least_one_of=one|two,only_one_of=red|blue,distinct=from|to"`
	_ struct{} `kong:"mutually_required=user|inner.pass,mutually_exclusive=black|white"`

	Needed string `json:"needed" kong:"required,description='What has to be there'"`
	Filled int    `json:"filled" kong:"default=7"`
	Secret string `json:"secret" kong:"referenceable,encrypted"`

	ID       string  `json:"id" kong:"uuid"`
	Regex    string  `json:"regex" kong:"is_regex"`
	Time     int64   `json:"time" kong:"timestamp"`
	Mode     string  `json:"mode" kong:"one_of=allow|deny"`
	Other    string  `json:"other" kong:"not_one_of=allow|deny"`
	Seven    int     `json:"seven" kong:"eq=7"`
	NotSeven int     `json:"not_seven" kong:"ne=7"`
	Yes      bool    `json:"yes" kong:"eq=true"`
	Positive float64 `json:"positive" kong:"gt=0"`
	Percent  int     `json:"percent" kong:"between=1|100"`
	Small    int8    `json:"small"`
	Word     string  `json:"word" kong:"match=^%a+$"`
	NoSpace  string  `json:"no_space" kong:"not_match=%s"`
	Path     string  `json:"path" kong:"starts_with=/"`
	Three    string  `json:"three" kong:"len_eq=3"`
	Short    string  `json:"short" kong:"len_min=2,len_max=5"`

	Paths []string         `json:"paths" kong:"set,elements.starts_with=/"`
	Pair  [2]int           `json:"pair"`
	List  []string         `json:"list" kong:"len_min=1,default=a|b"`
	Codes map[string]int   `json:"codes" kong:"keys.match=^%a+$,values.between=100|599"`
	Lists map[string][]int `json:"lists" kong:"values.elements.gt=0"`

	One   string `json:"one"`
	Two   string `json:"two"`
	Red   string `json:"red"`
	Blue  string `json:"blue"`
	From  string `json:"from"`
	To    string `json:"to"`
	User  string `json:"user"`
	Black string `json:"black"`
	White string `json:"white"`

	Inner struct {
		Pass  string `json:"pass"`
		Depth int    `json:"depth" kong:"between=0|3,default=1"`
	} `json:"inner"`
}

func (*tagged) Access(*pdk.PDK) {}

// limited can be set for nothing but all requests.
type limited struct {
	_ struct{} `kong:"no_route,no_service,no_consumer"`
}

func (*limited) Access(*pdk.PDK) {}
