{# One row per minute of every day with prices and of the days after it, so that facts always find their minute. #}
with days as (

    select distinct cast(price_date + ahead.day::integer as date) as day
    from {{ ref('stg_crypto__elements') }}, range(0, {{ var('time_horizon_days') | int + 1 }}) as ahead (day)
    where reason is null and {{ is_new_to_this_model() }}
    {% if is_incremental() %}
    except
    select distinct date from {{ this }}
    {% endif %}

),

minutes as (

    select
        day,
        cast(day as {{ type_name('timestamp with time zone') }}) + {{ minutes_of('minute_of_day') }} as timestamp
    from days, range(0, 1440) as clock (minute_of_day)

)

select
    {{ minutes_since_epoch('timestamp') }} as time_id,
    timestamp,
    day as date,
    extract(hour from timestamp)::integer as hour,
    extract(day from timestamp)::integer as day,
    extract(week from timestamp)::integer as week,
    extract(month from timestamp)::integer as month,
    extract(quarter from timestamp)::integer as quarter,
    extract(year from timestamp)::integer as year,
    {{ is_new_york_trading_hour('timestamp') }} as is_trading_hour
from minutes
