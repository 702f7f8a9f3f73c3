// telegraf's output and input for Kafka, as its agent has them.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/logger"
	"github.com/influxdata/telegraf/metric"
	"github.com/influxdata/telegraf/plugins/inputs"
	"github.com/influxdata/telegraf/plugins/inputs/kafka_consumer"
	"github.com/influxdata/telegraf/plugins/outputs"
	"github.com/influxdata/telegraf/plugins/outputs/kafka"
	parser "github.com/influxdata/telegraf/plugins/parsers/influx"
	serializer "github.com/influxdata/telegraf/plugins/serializers/influx"

	"osqdemo/clients/checks"
)

// The version of Kafka that its settings name; without one it speaks as 0.10.2.
const version = "2.8.0"

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

type client struct {
	bootstrap []string
	// Makes topics and looks at groups, which telegraf does not.
	beside sarama.ClusterAdmin
}

func (client) Name() (string, string) {
	return "telegraf", checks.Version("github.com/influxdata/telegraf")
}

func (its client) Create(topic string, partitions int) error {
	return its.beside.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}, false)
}

// Send writes each value as a metric's field; the partition is telegraf's choice.
func (its client) Send(topic string, values []string, _ int, codec string, idempotent bool) error {
	output := outputs.Outputs["kafka"]().(*kafka.Kafka)
	output.Brokers, output.Topic, output.Version = its.bootstrap, topic, version
	output.CompressionCodec, output.IdempotentWrites = slices.Index(codecs, codec), idempotent
	output.MetadataRetryType, output.MetadataRetryBackoff = "exponential", config.Duration(250*time.Millisecond)
	output.Log = logger.New("outputs", "kafka", "")
	lines := &serializer.Serializer{}
	output.SetSerializer(lines)
	if err := checks.First(lines.Init(), output.Init(), output.Connect()); err != nil {
		return err
	}
	var metrics []telegraf.Metric
	for _, value := range values {
		fields := map[string]any{"value": value}
		metrics = append(metrics, metric.New("checks", nil, fields, time.Now()))
	}
	return checks.First(output.Write(metrics), output.Close())
}

// accumulator keeps the values of what comes and says that it has them, so that their offsets are committed.
type accumulator struct {
	telegraf.Accumulator
	journal   *checks.Journal
	delivered chan telegraf.DeliveryInfo
	failures  chan error
}

func (its *accumulator) AddError(err error) {
	// sarama's word for a partition that it gives up in a rebalance.
	if errors.Is(err, context.Canceled) {
		return
	}
	select {
	case its.failures <- err:
	default:
	}
}

func (its *accumulator) WithTracking(count int) telegraf.TrackingAccumulator {
	its.delivered = make(chan telegraf.DeliveryInfo, count)
	return its
}

func (its *accumulator) Delivered() <-chan telegraf.DeliveryInfo { return its.delivered }

func (its *accumulator) AddTrackingMetric(found telegraf.Metric) telegraf.TrackingID {
	return its.AddTrackingMetricGroup([]telegraf.Metric{found})
}

func (its *accumulator) AddTrackingMetricGroup(group []telegraf.Metric) telegraf.TrackingID {
	delivered := its.delivered
	tracked, id := metric.WithGroupTracking(group, func(info telegraf.DeliveryInfo) { delivered <- info })
	for _, found := range tracked {
		if value, ok := found.GetField("value"); ok {
			its.journal.Add(fmt.Sprint(value))
		}
		found.Accept()
	}
	return id
}

type member struct {
	accumulator
	its   client
	group string
	id    string
	input *kafka_consumer.KafkaConsumer
}

func (its client) reading(group, topic, offset, assignor string) (*member, error) {
	input := inputs.Inputs["kafka_consumer"]().(*kafka_consumer.KafkaConsumer)
	input.Brokers, input.Topics, input.ConsumerGroup = its.bootstrap, []string{topic}, group
	input.Offset, input.BalanceStrategy = offset, assignor
	input.ClientID, input.Version = checks.Unique("telegraf"), version
	input.MetadataRetryType, input.MetadataRetryBackoff = "exponential", config.Duration(250*time.Millisecond)
	input.Log = logger.New("inputs", "kafka_consumer", "")
	lines := &parser.Parser{}
	input.SetParser(lines)
	if err := checks.First(lines.Init(), input.Init()); err != nil {
		return nil, err
	}
	made := &member{its: its, group: group, id: input.ClientID, input: input}
	made.journal, made.failures = &checks.Journal{}, make(chan error, 1)
	return made, input.Start(&made.accumulator)
}

func (its client) Read(topic string, partition int, start checks.Start, count int, committed bool, meanwhile func() error) ([]string, error) {
	switch {
	case committed:
		return nil, checks.Absent("telegraf does not ask for what is committed alone")
	case start.Offset > 0 || start.Time > 0:
		return nil, checks.Absent("telegraf begins at the start or the end")
	}
	offset := "oldest"
	if start.End {
		offset = "newest"
	}
	made, err := its.reading(checks.Unique("reader"), topic, offset, "range")
	if err != nil {
		return nil, err
	}
	var values []string
	if start.End {
		send := func(value string) error { return its.Send(topic, []string{value}, 0, "none", false) }
		values, err = checks.FromTheEnd(made.Values, send, meanwhile, count)
	} else {
		err = checks.Until(func() string { return fmt.Sprintf("%d of %d values", len(made.Values()), count) },
			func() (bool, error) { return len(made.Values()) >= count, made.failure() })
		values = made.Values()
	}
	return values, checks.First(err, made.Close())
}

func (client) Transaction(string) (checks.Transaction, error) {
	return nil, checks.Absent("telegraf has no transactions")
}

func (client) Committed(string, string, int) (int64, error) {
	return -1, checks.Absent("telegraf does not tell offsets")
}

func (its client) Member(group, topic, assignor, instance, protocol string) (checks.Member, error) {
	switch {
	case protocol != "classic":
		return nil, checks.Absent("telegraf does not have the newer group protocol")
	case instance != "":
		return nil, checks.Absent("telegraf has no static members")
	case assignor == "cooperative-sticky":
		return nil, checks.Absent("telegraf has no assignor cooperative-sticky")
	}
	return its.reading(group, topic, "oldest", assignor)
}

func (its *member) failure() error {
	select {
	case err := <-its.failures:
		return err
	default:
		return nil
	}
}

func (its *member) Values() []string { return its.journal.Values() }

// Assigned is what the broker says of the group: telegraf does not tell.
func (its *member) Assigned() []int {
	groups, err := its.its.beside.DescribeConsumerGroups([]string{its.group})
	if err != nil || groups[0].State != "Stable" {
		return nil
	}
	var partitions []int
	for _, found := range groups[0].Members {
		assignment, err := found.GetMemberAssignment()
		if found.ClientId != its.id || err != nil {
			continue
		}
		for _, some := range assignment.Topics {
			for _, partition := range some {
				partitions = append(partitions, int(partition))
			}
		}
	}
	slices.Sort(partitions)
	return partitions
}

// Commit is telegraf's own, each second and at its end.
func (*member) Commit() error { return nil }

// Close does not ask for what went wrong: a fetch that it cuts off is told as one.
func (its *member) Close() error {
	its.input.Stop()
	return nil
}

func (client) Admin(string) error { return checks.Absent("telegraf has no administration") }

func main() {
	checks.Main(func(bootstrap string) (checks.Client, error) {
		settings := sarama.NewConfig()
		settings.Version = sarama.V2_8_0_0
		beside, err := sarama.NewClusterAdmin([]string{bootstrap}, settings)
		return client{[]string{bootstrap}, beside}, err
	})
}
