// A memberlist agent for InteroperationTests: the library with its defaults, and the addresses of its members over HTTP.
//
// It is built against whatever version of the library is there; labels, which old ones lack, are set by reflection.
// Against Debian's packages (golang-go, golang-github-hashicorp-memberlist-dev):
//
//     GO111MODULE=off GOPATH=/usr/share/gocode go build -o .build/agent scripts/interop/agent.go
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

func main() {
	name := flag.String("name", "agent", "name of the node")
	bind := flag.String("bind", "127.0.0.1", "address to listen on and to advertise")
	port := flag.Int("port", 7946, "port to listen on")
	join := flag.String("join", "", "nodes to join, separated by commas")
	key := flag.String("key", "", "AES key in hexadecimal digits")
	label := flag.String("label", "", "label of the cluster")
	proto := flag.Int("proto", 0, "protocol version to speak, 1 for encryption of version 0")
	control := flag.String("http", "", "address that answers GET /members")
	flag.Parse()

	config := memberlist.DefaultLANConfig()
	config.Name, config.BindAddr, config.BindPort = *name, *bind, *port
	config.AdvertiseAddr, config.AdvertisePort = *bind, *port
	if *proto > 0 {
		config.ProtocolVersion = uint8(*proto)
	}
	if *key != "" {
		bytes, err := hex.DecodeString(*key)
		if err != nil {
			log.Fatal(err)
		}
		config.SecretKey = bytes
	}
	if *label != "" {
		field := reflect.ValueOf(config).Elem().FieldByName("Label")
		if !field.IsValid() {
			log.Fatal("this version of memberlist knows no labels")
		}
		field.SetString(*label)
	}
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/members", func(answer http.ResponseWriter, _ *http.Request) {
		addresses := []string{}
		for _, node := range list.Members() {
			addresses = append(addresses, node.Addr.String())
		}
		json.NewEncoder(answer).Encode(addresses)
	})
	go func() { log.Fatal(http.ListenAndServe(*control, nil)) }()
	for *join != "" {
		if _, err := list.Join(strings.Split(*join, ",")); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	list.Leave(2 * time.Second)
}
