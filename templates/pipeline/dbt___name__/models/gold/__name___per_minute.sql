{{ config(
    partition_by=['measured_date'],
    unique_key=['station', 'minute_at'],
    prune_by=['measured_date', 'minute_at']
) }}

{#
    One row per station and minute with readings. Minutes with new readings are computed again from all their readings.
#}
with touched as (

    select distinct station, date_trunc('minute', measured_at) as minute_at
    from {{ ref('stg___name____readings') }}
    where reason is null and {{ is_new_to_this_model() }}

),

readings as (

    select *, date_trunc('minute', measured_at) as minute_at
    from {{ ref('__name___readings') }}
    where measured_date in ({{ batch_dates(ref('stg___name____readings')) }})

)

select
    station,
    minute_at,
    min(value) as value_low,
    max(value) as value_high,
    {{ last_by('value', tuple_of('measured_at, log_partition, log_offset, element_index')) }} as value_last,
    count(*)::integer as readings,
    cast(minute_at as date) as measured_date
from readings
inner join touched using (station, minute_at)
group by station, minute_at
